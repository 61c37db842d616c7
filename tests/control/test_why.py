"""Why a caption was not obeyed: the stage that fails is the stage that is named."""

import copy
import math

import pytest
import torch

from latentlab.control.places import words_in
from latentlab.control.why import Why, _decided, _read, _verdict, why
from latentlab.data import MovingShapes
from latentlab.generator.condition import Condition
from latentlab.generator.native import NativeGenerator

CAPTION, OTHERS = "a red star moving left", {"red": "blue", "star": "a", "left": "moving"}


def ask(generator, word="red", **options) -> Why:
    """As if the reader saw the other word for one, and every other word as it was said."""
    told = {"read": lambda video, captions: int(word not in captions[1].split()), "num_steps": 1}
    return why(generator, CAPTION, alternatives=OTHERS, **{**told, **options})


def verdict(found: Why, word: str = "red") -> str:
    return next(w.verdict for w in found.words if w.word == word)


def test_a_word_that_is_read_is_obeyed(tiny_generator):
    found = ask(tiny_generator, word="nothing of it", read=lambda video, captions: 0)
    assert {w.verdict for w in found.words} == {"obeyed"}
    assert len(found.lines()) == 3
    assert [w["word"] for w in found.numbers()["words"]] == ["red", "star", "left"]


def test_a_word_whose_embedding_is_another_s_is_not_encoded(tiny_generator):
    rows = tiny_generator.clip_model.towers.token_embedding.weight.data
    rows[tiny_generator.clip_model.tokenize.number["red"]] = rows[tiny_generator.clip_model.tokenize.number["blue"]]
    found = ask(tiny_generator)
    assert verdict(found) == "not encoded"
    assert verdict(found, "star") == "obeyed"


def test_a_word_that_the_denoiser_does_not_hear_is_not_used(tiny_generator):
    said, heard = (tiny_generator.condition(text).tokens for text in (CAPTION, CAPTION.replace("red", "blue")))

    class Deaf(NativeGenerator):
        def predict(self, y, s, condition):
            same = (condition.tokens == said).all(-1).all(-1)[:, None, None]
            return super().predict(y, s, Condition(torch.where(same, heard, condition.tokens), condition.mask))

    g = tiny_generator
    deaf = Deaf(g.autoencoder, g.denoiser, g.clip_model, g.config)
    assert verdict(ask(deaf)) == "not used"
    assert verdict(ask(deaf, training=["a blue star"])) == "unseen"
    assert next(w.seen for w in ask(deaf, training=["red", "a Red star", "blue"]).words if w.word == "red") == 2


def test_of_a_clip_that_is_given_that_one_is_read(tiny_generator, clips):
    found = why(tiny_generator, CAPTION, clips[:1], alternatives=OTHERS, read=lambda video, _: int(video.mean() < 2))
    assert torch.equal(found.video, clips[:1])
    assert all(w.read == w.other for w in found.words)


@pytest.mark.parametrize(
    ("encoded", "used", "seen", "cosine", "decoded", "expected"),
    [
        (0.01, 1, None, 0, 1, "not encoded"), (1, 0.01, None, 0, 1, "not used"), (1, 0.01, 0, 0, 1, "unseen"),
        (1, 1, 5, 0, 0.1, "not decoded"), (1, 1, 5, -0.8, 1, "overruled"), (1, 1, 5, -0.1, 1, "drawn otherwise"),
    ],
)  # fmt: skip
def test_the_first_stage_that_failed_is_told(encoded, used, seen, cosine, decoded, expected):
    assert _verdict(False, {"encoded": encoded, "used": used}, seen, cosine, decoded) == expected
    assert _verdict(True, {"encoded": encoded, "used": used}, seen, cosine, decoded) == "obeyed"


def test_words_are_read_where_they_stand_however_they_are_written(tiny_generator):
    fixed = {"hue": 240.0, "background_hue": 0.0, "shape": 3, "size": 8.5, "blur": 0.0}
    clip = MovingShapes(1, seed=0, fixed=fixed)[0].video

    def shown(caption: str, place: int) -> str:
        return _read(tiny_generator, None, clip, words_in(caption), place, "", [caption, ""])

    whole = "A Large blue star, on a red background."
    assert [shown(whole, place) for place in (1, 2, 3, 7)] == ["Large", "blue", "star", "red"]
    twice = "a blue star on a blue background"
    assert [shown(twice, place) for place in (1, 5)] == ["blue", "red"]


def test_the_level_at_which_a_word_is_decided():
    assert _decided([1, 0, 0, 0]) == 0.98
    assert _decided([0, 0, 0, 1]) == 0.4
    assert math.isnan(_decided([0, 0, 0, 0]))


def test_captions_without_such_words_are_told(tiny_generator):
    with pytest.raises(ValueError, match="moving left"):
        why(copy.copy(tiny_generator), "moving left", alternatives={})
