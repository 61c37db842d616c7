"""The CLIP model: its tokenizer, its contact sheets, its towers."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from latentlab.generator.clip_model import ClipConfig, ClipModel, Tokenizer, four_frames
from latentlab.generator.networks.clip import ClipTowers

WORDS = ("a", "red", "blue", "star", "moving", "up-left", ",")


@pytest.fixture(scope="module")
def model() -> ClipModel:
    torch.manual_seed(0)
    config = ClipConfig(WORDS, context_length=8, embed_dim=16, width=32, text_layers=2, vision_layers=1, frame_size=16)
    return ClipModel(config).eval().requires_grad_(False)


def video(count: int = 2, frames: int = 5) -> torch.Tensor:
    return torch.rand(count, 3, frames, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_case_does_not_matter_and_hyphens_and_commas_are_kept():
    tokenize = Tokenizer(WORDS, 8)
    assert tokenize.words("A Red STAR, moving up-left") == ["a", "red", "star", ",", "moving", "up-left"]
    assert torch.equal(tokenize(["A RED star"]), tokenize(["a red star"]))


def test_the_end_token_has_the_largest_number_and_padding_follows_it():
    tokenize = Tokenizer(WORDS, 8)
    row = tokenize(["a star"])[0].tolist()
    assert row[0] == tokenize.number["<start>"]
    assert row[3] == max(tokenize.number.values()) == tokenize.number["<end>"]
    assert row[4:] == [tokenize.number["<pad>"]] * 4


def test_no_words_are_a_start_and_an_end():
    assert (Tokenizer(WORDS, 4)([""])[0] != Tokenizer(WORDS, 4).number["<pad>"]).sum() == 2


def test_every_unknown_word_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match="does not know 'cat', 'purple'; it knows: a red blue"):
        Tokenizer(WORDS, 8)(["a purple cat"])


def test_a_caption_that_is_too_long_is_quoted():
    assert Tokenizer(WORDS, 6)(["a red blue star"]).shape == (1, 6)
    with pytest.raises(ValueError, match="caption of 5 words is longer than 4: 'a a a a a'"):
        Tokenizer(WORDS, 6)(["a a a a a"])


def test_the_sheet_shows_four_frames_in_reading_order():
    clip = torch.linspace(-1, 1, 16).view(1, 1, 16, 1, 1).expand(1, 3, 16, 8, 8)
    sheet = four_frames(clip, frame_size=8)
    assert sheet.shape == (1, 3, 16, 16)
    corners = [sheet[0, 0, :8, :8], sheet[0, 0, :8, 8:], sheet[0, 0, 8:, :8], sheet[0, 0, 8:, 8:]]
    for corner, frame in zip(corners, (0, 5, 10, 15), strict=True):
        assert torch.equal(corner, clip[0, 0, frame])


def test_the_sheet_keeps_the_picture_upright():
    clip = torch.zeros(1, 3, 4, 8, 8)
    clip[0, 0, 0, 1, 6] = 1.0  # channel 0, row 1, column 6 of the first frame
    assert four_frames(clip, frame_size=8).nonzero().tolist() == [[0, 0, 1, 6]]


@pytest.mark.parametrize("shape", [(1, 3, 1, 8, 8), (2, 3, 3, 32, 24), (1, 3, 40, 4, 4)])
def test_the_sheet_takes_any_length_and_size(shape):
    sheet = four_frames(torch.full(shape, 0.25), frame_size=8)
    torch.testing.assert_close(sheet, torch.full((shape[0], 3, 16, 16), 0.25))


def test_the_mask_counts_start_words_and_end(model):
    tokens, mask = model.tokens(["", "a red star"])
    assert tokens.shape == (2, 8, 32)
    assert mask.sum(1).tolist() == [2, 5]


def test_tokens_of_a_caption_do_not_depend_on_the_other_captions(model):
    alone, mask = model.tokens(["a red star"])
    beside = model.tokens(["a blue star moving up-left", "a red star", ""])[0][1:2]
    torch.testing.assert_close(alone[mask], beside[mask])


def test_tokens_of_a_caption_do_not_depend_on_what_follows_it(model):
    numbers = model.tokenize(["a red star"])
    other = numbers.clone()
    other[:, 5:] = 0  # a word where there was padding
    torch.testing.assert_close(model.token_states(numbers)[0][:, :5], model.token_states(other)[0][:, :5])


def test_the_text_vector_is_read_off_at_the_end_token(model):
    tokens, mask = model.tokens(["a red star", "a"])
    ends = mask.sum(1) - 1
    expected = F.normalize(tokens[torch.arange(2), ends] @ model.towers.text_projection, dim=1)
    torch.testing.assert_close(model.encode_text(["a red star", "a"]), expected)


def test_embeddings_are_unit_vectors_and_scores_their_cosines(model):
    clips, captions = video(), ["a red star", "a blue star"]
    image, text = model.encode_video(clips), model.encode_text(captions)
    torch.testing.assert_close(image.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(2))
    score = model.score(clips, captions)
    torch.testing.assert_close(score, (image @ text.T).diagonal())
    assert (score.abs() <= 1 + 1e-6).all()


def test_the_training_pass_agrees_with_the_encoders(model):
    clips = video()
    image, text, scale = model(four_frames(clips, 16), model.tokenize(["a", "star"]))
    torch.testing.assert_close(image, model.encode_video(clips))
    torch.testing.assert_close(text, model.encode_text(["a", "star"]))
    assert scale > 0


def test_the_header_rebuilds_the_model(model):
    again = ClipModel(ClipConfig(**model.header()))
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.eval().encode_text(["a star"]), model.encode_text(["a star"]))


def test_words_that_add_nothing_pass_and_others_do_not():
    tokens = Tokenizer(("a", "red", "star"), context_length=6)
    assert torch.equal(tokens(["The red star is."]), tokens(["a red star"]))
    assert torch.equal(tokens(["an red star"]), tokens(["a red star"]))
    assert torch.equal(Tokenizer(("red",), 6)(["the red"]), Tokenizer(("red",), 6)(["red"]))
    with pytest.raises(ValueError, match="'and'"):
        tokens(["red and the star"])
    assert not torch.equal(*(Tokenizer(("the", "red"), 6)([text]) for text in ("the red", "red")))


@pytest.mark.parametrize("caption", ["a \U0001f600 star", "a (red) star", "!!!"])
def test_symbols_are_not_dropped_in_silence(caption):
    with pytest.raises(ValueError, match=r"does not know|holds no word"):
        Tokenizer(("a", "red", "star"), context_length=6).check(caption)


@pytest.mark.parametrize("caption", ["", " ", "A red star.", "a star, red!"])
def test_sentences_may_end_as_sentences_do(caption):
    Tokenizer(("a", "red", "star"), context_length=6).check(caption)


def test_the_towers_are_those_of_open_clip_bit_for_bit(model):
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    c = model.config
    torch.manual_seed(3)
    vision = open_clip.CLIPVisionCfg(
        layers=c.vision_layers, width=c.width, head_width=32, patch_size=c.patch_size, image_size=2 * c.frame_size
    )
    words = len(model.tokenize.number)
    text = open_clip.CLIPTextCfg(
        context_length=c.context_length, vocab_size=words, width=c.width, heads=c.width // 32, layers=c.text_layers
    )
    theirs = open_clip.CLIP(c.embed_dim, vision, text).eval().requires_grad_(False)
    ours = ClipTowers(c, words).eval().requires_grad_(False)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    ours.load_state_dict(theirs.state_dict())
    numbers, sheet = model.tokenize(["a red star", "a blue star moving up-left"]), four_frames(video(), 16)
    assert torch.equal(ours.encode_text(numbers), theirs.encode_text(numbers, normalize=True))
    assert torch.equal(ours.encode_image(sheet), theirs.encode_image(sheet, normalize=True))
    assert ours.logit_scale == theirs.logit_scale


def test_it_needs_no_open_clip():
    loads = (
        "import sys, latentlab; latentlab.load(device='cpu'); print({'open_clip', 'torchvision'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout == "set()\n"
