"""Captions through the pipelines' own tokenizers and text encoders, against the pipelines' own calls."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from generator.pipelines import pipelines
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from latentlab.generator.pipelines import reading
from latentlab.generator.pipelines.families import FAMILIES

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "star", "moving", "left", "blurry")


def tokenizer(longest: int = 512) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    own = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    own.model_max_length = longest
    return own


def clip_text(width: int) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(WORDS), hidden_size=width, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            pad_token_id=0, bos_token_id=1, eos_token_id=1, max_position_embeddings=77,
        )
    )  # fmt: skip


def t5(kind=T5EncoderModel, config=T5Config, width: int = 32):
    return kind(config(vocab_size=len(WORDS), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2))


def told(name: str) -> pipelines.Tiny:
    """A pipeline with its text encoder."""
    # diffusers' DDIM lands where it should on this spacing of its timesteps alone
    tiny = pipelines.animatediff("trailing") if name == "animatediff" else pipelines.FAMILIES[name]()
    torch.manual_seed(1)
    parts = {"tokenizer": tokenizer()}
    if name == "wan":
        parts["text_encoder"] = t5(UMT5EncoderModel, UMT5Config)
    elif name in ("animatediff", "modelscope"):
        parts = {"tokenizer": tokenizer(77), "text_encoder": clip_text(16)}
    elif name == "hunyuan":
        llama = LlamaConfig(
            vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=4, num_attention_heads=2,
            pad_token_id=0,
        )  # fmt: skip
        parts |= {"text_encoder": LlamaModel(llama), "text_encoder_2": clip_text(8), "tokenizer_2": tokenizer(77)}
    else:
        parts["text_encoder"] = t5()
    tiny.pipe.register_modules(**parts)
    if name.startswith("cogvideox"):
        tiny.pipe.transformer.config.max_text_seq_length = 226
    return replace(tiny, told={"prompt": "a red star moving left", "negative_prompt": "blurry"})


@pytest.mark.parametrize("name", ["wan", "ltx", "mochi", "hunyuan", "modelscope", "animatediff", "cogvideox-5b"])
def test_captions_are_told_as_the_pipeline_tells_them(name):
    tiny = told(name)
    generator = FAMILIES[type(tiny.pipe).__name__](tiny.pipe)
    generator.config = replace(
        generator.config, **dict(zip(("num_frames", "height", "width"), tiny.video, strict=True))
    )
    noise = generator.noise(1)
    steps = 5  # divides 1000, so that the steps of diffusers' DDIM land where they should
    theirs = pipelines.call(tiny, noise, 4.0, steps)
    if name == "hunyuan":
        condition = generator.condition("a red star moving left")
    else:
        condition = generator.condition("a red star moving left", negative="blurry")
    ours = generator.sample(noise, condition, num_steps=steps, method="ddim", guidance=4.0)
    assert (ours - theirs).abs().max() / theirs.abs().max() <= 2e-5
    other = generator.sample(noise, "a", num_steps=steps, method="ddim", guidance=4.0)
    assert (ours - other).abs().max() > 1e-4


def test_guidance_leads_away_from_the_empty_caption_or_from_what_is_said():
    generator = FAMILIES["WanPipeline"](told("wan").pipe)
    y, condition = torch.ones(1, 16, 1, 4, 4), generator.condition("a red star")
    without, under, blurry = (generator.velocity(generator.condition(c))(y, 0.5) for c in ("", "a red star", "blurry"))
    torch.testing.assert_close(generator.velocity(condition, 3.0)(y, 0.5), without + 3 * (under - without))
    condition = generator.condition("a red star", negative="blurry")
    torch.testing.assert_close(generator.velocity(condition, 3.0)(y, 0.5), blurry + 3 * (under - blurry))


def test_a_negative_caption_is_refused_where_it_would_have_no_effect():
    generator = FAMILIES["HunyuanVideoPipeline"](told("hunyuan").pipe)
    noise = torch.zeros(1, 4, 1, 4, 4)
    for guidance in (1.0, 6.0):
        with pytest.raises(ValueError, match=r"guidance is built into this network.* leave negative= and against= out"):
            generator.sample(noise, generator.condition("a star", negative="blurry"), num_steps=1, guidance=guidance)


def test_captions_do_not_depend_on_their_neighbours():
    """Mochi's pipeline may blank every caption of a batch whose last one is empty."""
    tiny = told("mochi")
    tiny.pipe.register_to_config(force_zeros_for_empty_prompt=True)
    generator = FAMILIES["MochiPipeline"](tiny.pipe)
    both, alone = generator.condition(["a red star", ""]), generator.condition("a red star")
    torch.testing.assert_close(both.tokens[:1], alone.tokens)
    assert torch.equal(both.mask[:1], alone.mask)


@pytest.mark.parametrize("given", [[], 3, [None], ["a", 1]])
def test_what_is_no_caption_is_told(given):
    with pytest.raises(ValueError, match="a caption is text, or a list of texts with one at least, got"):
        reading.each_told(given, None, None)


def test_numbers_of_captions_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="2 clips are told one of the negative captions or 2, got 3"):
        reading.each_told(["a", "b"], ["c"] * 3, None)
