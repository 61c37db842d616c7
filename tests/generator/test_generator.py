"""The generator: one interface to encode, decode, sample, invert, save and load."""

import copy
import re
from dataclasses import replace

import pytest
import tiny
import torch

from latentlab.generator import model as model_module
from latentlab.generator.condition import Condition
from latentlab.generator.inverted import Inverted
from latentlab.generator.load import find_device, load
from latentlab.weights import fingerprint


@pytest.fixture
def evaluated(tiny_generator) -> list[int]:
    """Clips in each call of the denoiser."""
    sizes = []
    tiny_generator.denoiser.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    return sizes


# ------------------------------------------------------------------------------------------------------------- on disk
def test_what_was_saved_loads_equal(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu")
    assert again.fingerprint() == tiny_generator.fingerprint()
    assert again.config == tiny_generator.config
    torch.testing.assert_close(
        again.generate("a red star", num_steps=2), tiny_generator.generate("a red star", num_steps=2)
    )


def test_half_precision_on_disk_is_a_small_change(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path, dtype=torch.float16)
    again = load(str(tmp_path), device="cpu")
    assert again.dtype == torch.float32
    for name, value in tiny_generator.denoiser.state_dict().items():
        torch.testing.assert_close(again.denoiser.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_dtype_is_of_the_denoiser_alone(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path)
    again = load(tmp_path, device="cpu", dtype=torch.bfloat16)
    assert again.dtype == torch.bfloat16
    assert again.autoencoder.mean.dtype == torch.float32
    latents = again.sample(again.noise(1), "a star", num_steps=2, guidance=2.0)
    assert latents.dtype == torch.float32


def test_a_folder_without_a_generator_says_what_is_missing(tiny_generator, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere holds no generator.json; give a folder written by Native"):
        load(tmp_path / "nowhere")
    tiny_generator.save(tmp_path)
    (tmp_path / "denoiser.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*denoiser.safetensors"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not what NativeGenerator.save writes: Expecting property name"),
        ("[]", "is not what NativeGenerator.save writes"),
        ('{"frames": 3}', "unexpected keyword argument 'frames'"),
        ('{"height": -64}', "expected a height such as 64, got -64"),
        ('{"width": "../../x"}', "expected a width such as 64, got '../../x'"),
        ('{"num_frames": 2.5}', "expected a num_frames such as 16, got 2.5"),
        ('{"guidance": NaN}', "expected a guidance such as 2.5, got nan"),
    ],
)
def test_settings_that_no_generator_has_are_named(text, said, tmp_path):
    (tmp_path / "generator.json").write_text(text)
    with pytest.raises(ValueError, match=f"generator.json.*{re.escape(said)}"):
        load(tmp_path)


def test_the_fingerprint_changes_with_any_weight(tiny_generator):
    before = tiny_generator.fingerprint()
    tiny_generator.clip_model.towers.token_embedding.weight[0, 0] += 1e-4
    assert tiny_generator.fingerprint() != before


def test_the_fingerprint_is_read_once_and_again_after_any_change(tiny_generator, clips, monkeypatch):
    read = []
    monkeypatch.setattr(model_module, "fingerprint", lambda *networks: read.append(1) or fingerprint(*networks))
    first = tiny_generator.fingerprint()
    inverted = tiny_generator.invert(tiny_generator.encode(clips), num_steps=1, method="leapfrog")
    copy.copy(tiny_generator).sample(inverted)
    assert (len(read), inverted.weights) == (1, first)
    weight = tiny_generator.denoiser.time[0].weight
    state = {name: t.clone() for name, t in tiny_generator.denoiser.state_dict().items()}
    weight.data = weight.data + 1  # another tensor in its place
    assert tiny_generator.fingerprint() != first
    tiny_generator.denoiser.load_state_dict(state)
    assert tiny_generator.fingerprint() == first
    weight.data.mul_(1.5)  # in place, as no counter of PyTorch's knows
    assert tiny_generator.fingerprint() != first
    tiny_generator.denoiser.adapter = torch.nn.Linear(2, 2)
    assert tiny_generator.fingerprint() != first
    assert len(read) == 5


def test_adapters_are_part_of_the_fingerprint(tiny_generator):
    """Their weights, scales, whether they are on, which one, and what is merged."""
    peft = pytest.importorskip("peft", reason="LoRA needs the extra [diffusers]")
    marks = [tiny_generator.fingerprint()]
    config = peft.LoraConfig(target_modules=["time.0"], r=2, init_lora_weights=False)
    for name in ("one", "two"):
        peft.inject_adapter_in_model(config, tiny_generator.denoiser, name)
        marks.append(tiny_generator.fingerprint())
    layer = tiny_generator.denoiser.time[0]
    changes = (
        lambda: layer.set_adapter("one"),
        lambda: layer.set_scale("one", 0.5),
        lambda: layer.enable_adapters(False),
        lambda: layer.enable_adapters(True) or layer.merge(),
    )
    for change in changes:
        change()
        marks.append(tiny_generator.fingerprint())
    assert len(set(marks)) == 3 + len(changes)


# ------------------------------------------------------------------------------------------------- shapes and numbers
def test_shapes_from_clip_to_noise_and_back(tiny_generator, clips):
    latents = tiny_generator.encode(clips)
    assert latents.shape == (3, *tiny_generator.latent_shape) == (3, 2, 4, 2, 2)
    noise = tiny_generator.invert(latents, num_steps=2)
    assert noise.noise.shape == latents.shape
    assert tiny_generator.sample(noise, num_steps=2).shape == latents.shape
    video = tiny_generator.decode(latents)
    assert video.shape == clips.shape
    assert video.abs().max() <= 1


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (7, 32, 16)])
def test_other_lengths_and_sizes_pass_through(tiny_generator, frames, height, width):
    latents = tiny_generator.encode(torch.zeros(1, 3, frames, height, width))
    noise = tiny_generator.invert(latents, num_steps=1)
    assert tiny_generator.decode(tiny_generator.sample(noise, num_steps=1)).shape == (1, 3, frames, height, width)


def test_inverted_noise_samples_back_and_more_steps_come_nearer(tiny_generator, clips):
    tiny_generator.denoiser.time[0].weight.zero_()  # random weights are rough in s, where trained ones are smooth
    latents = tiny_generator.encode(clips)
    errors = []
    for steps in (12, 48):
        noise = tiny_generator.invert(latents, "a red star", num_steps=steps)
        errors.append((tiny_generator.sample(noise, "a red star", num_steps=steps) - latents).abs().max())
    assert errors[1] < 1e-2
    assert errors[1] < errors[0] / 8


def test_noise_item_i_is_the_same_whatever_the_count(tiny_generator):
    many = tiny_generator.noise(5, seed=3)
    assert torch.equal(tiny_generator.noise(2, seed=3), many[:2])
    assert not torch.equal(many[0], many[1])
    assert not torch.equal(tiny_generator.noise(1, seed=4), many[:1])


def test_noise_is_unit_gaussian(tiny_generator):
    noise = tiny_generator.noise(400)  # 12800 numbers: mean and sd within about 4 standard errors
    assert abs(noise.mean()) < 0.035
    assert noise.std().item() == pytest.approx(1, abs=0.025)


def test_generate_is_noise_sampled_and_decoded(tiny_generator):
    captions = ["a red star", "a blue star"]
    latents = tiny_generator.sample(
        tiny_generator.noise(2, seed=5), captions, num_steps=3, method="ddim", guidance=tiny_generator.config.guidance
    )
    made = tiny_generator.generate(captions, seed=5, num_steps=3)
    torch.testing.assert_close(made, tiny_generator.decode(latents))
    torch.testing.assert_close(tiny_generator.generate("a red star", seed=5, num_steps=3), made[:1], atol=1e-4, rtol=0)


def test_generate_takes_a_condition_as_sample_does(tiny_generator):
    captions = ["a red star", "a blue star"]
    made = tiny_generator.generate(captions, seed=5, num_steps=2)
    assert torch.equal(tiny_generator.generate(tiny_generator.condition(captions), seed=5, num_steps=2), made)
    with pytest.raises(ValueError, match="needs a caption at least"):
        tiny_generator.generate(tiny_generator.condition(captions)[:0])


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_the_batch_size_does_not_change_the_result(tiny_generator, clips, batch_size):
    captions = ["a red star", "", "a blue star moving left"]
    latents = tiny_generator.encode(clips, batch_size=batch_size)
    noise = tiny_generator.invert(latents, captions, num_steps=3, guidance=1.5, batch_size=batch_size)
    video = tiny_generator.decode(latents, batch_size=batch_size)
    torch.testing.assert_close(latents, tiny_generator.encode(clips), atol=1e-5, rtol=0)
    whole = tiny_generator.invert(tiny_generator.encode(clips), captions, num_steps=3, guidance=1.5)
    torch.testing.assert_close(noise.noise, whole.noise, atol=1e-5, rtol=0)
    torch.testing.assert_close(video, tiny_generator.decode(latents), atol=1e-5, rtol=0)


def test_nothing_needs_gradients(tiny_generator, clips):
    assert not tiny_generator.encode(clips.requires_grad_()).requires_grad
    assert not any(p.requires_grad for p in tiny_generator.denoiser.parameters())


# ------------------------------------------------------------------------------------------------------------ captions
def test_guidance_one_does_not_evaluate_the_empty_caption(tiny_generator, evaluated):
    tiny_generator.sample(tiny_generator.noise(3), "a star", num_steps=2, method="ddim", guidance=1.0)
    assert evaluated == [3, 3]
    evaluated.clear()
    tiny_generator.sample(tiny_generator.noise(3), "a star", num_steps=2, method="ddim", guidance=2.0)
    assert evaluated == [6, 6]


@pytest.mark.parametrize("guidance", [0.0, 0.5, 2.5, -1.0])
def test_guidance_goes_from_the_empty_caption_through_the_given_one(tiny_generator, guidance):
    given = tiny_generator.condition(["a red star", "a blue star"])
    empty = tiny_generator.condition("").expand(2)
    y = tiny_generator.noise(2)
    without, under = (tiny_generator.velocity(c)(y, 0.5) for c in (empty, given))
    expected = without + guidance * (under - without)
    torch.testing.assert_close(tiny_generator.velocity(given, guidance)(y, 0.5), expected, atol=1e-5, rtol=1e-5)


def test_the_empty_caption_is_read_once_a_call(tiny_generator, monkeypatch):
    read, tokens = [], tiny_generator.clip_model.tokens
    monkeypatch.setattr(tiny_generator.clip_model, "tokens", lambda captions: read.append(captions) or tokens(captions))
    tiny_generator.sample(tiny_generator.noise(3), "a star", num_steps=1, guidance=2.0, batch_size=1)
    assert read == [["a star"], [""]]


def test_captions_change_the_clip_and_a_condition_made_before_is_the_same(tiny_generator):
    noise = tiny_generator.noise(1)
    red = tiny_generator.sample(noise, "a red star", num_steps=2)
    assert (red - tiny_generator.sample(noise, "a blue star", num_steps=2)).abs().max() > 1e-5
    assert torch.equal(red, tiny_generator.sample(noise, tiny_generator.condition("a red star"), num_steps=2))


# -------------------------------------------------------------------------------------------------------------- errors
def test_a_video_of_bytes_is_told_how_to_become_one(tiny_generator):
    with pytest.raises(ValueError, match=r"in \[-1, 1\], got 0 to 255; `latentlab.video.from_uint8`"):
        tiny_generator.encode(torch.linspace(0, 255, 3 * 4 * 16 * 16).view(1, 3, 4, 16, 16))


@pytest.mark.parametrize("shape", [(3, 4, 16, 16), (1, 4, 3, 16, 16), (1, 4, 16, 16, 3)])
def test_a_video_with_other_axes_is_an_error(tiny_generator, shape):
    with pytest.raises(ValueError, match=r"floating point \(batch, 3, frame, height, width\), got"):
        tiny_generator.encode(torch.zeros(shape))


@pytest.mark.parametrize("carry", ["sample", "invert", "decode"])
@pytest.mark.parametrize("shape", [(2, 4, 2, 2), (1, 3, 4, 16, 16)])
def test_latents_with_other_axes_are_an_error(tiny_generator, carry, shape):
    with pytest.raises(ValueError, match=r"latents have axes \(batch, 2, frame, height, width\), got shape"):
        getattr(tiny_generator, carry)(torch.zeros(shape))


@pytest.mark.parametrize("method", ["midpoint", "leapfrog"])
def test_a_network_that_overflows_is_told(tiny_generator, clips, method):
    latents = tiny_generator.encode(clips)
    with torch.no_grad():
        tiny_generator.denoiser.enter.weight.fill_(float("nan"))
    for carry in (tiny_generator.invert, tiny_generator.sample):
        with pytest.raises(ValueError, match=rf"\(torch.float32\) went to NaN .* {method} at guidance 1; .*bfloat16"):
            carry(latents, num_steps=2, method=method)


@pytest.mark.parametrize("wrong", [torch.complex64, torch.int8, "float16"])
def test_a_dtype_in_which_no_network_computes_is_refused_when_loading(wrong):
    for name in ("dtype", "vae_dtype"):
        with pytest.raises(ValueError, match=f"{name} must be a floating-point dtype, .*got "):
            load(**{name: wrong})


def test_nan_is_an_error(tiny_generator):
    with pytest.raises(ValueError, match="finite, got 3072 NaN"):
        tiny_generator.encode(torch.full((1, 3, 4, 16, 16), float("nan")))
    with pytest.raises(ValueError, match="guidance must be finite, got nan"):
        tiny_generator.sample(tiny_generator.noise(1), guidance=float("nan"))


@pytest.mark.parametrize("carry", ["sample", "invert"])
@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"num_steps": 2.5}, r"num_steps is a whole number, got 2\.5"),
        ({"num_steps": "4"}, "num_steps is a whole number, got '4'"),
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"guidance": "a"}, "guidance is a number, got 'a'"),
        ({"batch_size": 1.5}, r"batch_size is a whole number, got 1\.5"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_named(tiny_generator, carry, wrong, match):
    with pytest.raises(ValueError, match=match):
        getattr(tiny_generator, carry)(tiny_generator.noise(1), **wrong)


@pytest.mark.parametrize("carry", ["sample", "invert", "decode"])
def test_latents_that_are_none_are_an_error(tiny_generator, carry):
    with pytest.raises(ValueError, match="latents are finite, got NaN"):
        getattr(tiny_generator, carry)(torch.full((1, 2, 4, 2, 2), torch.nan))
    with pytest.raises(ValueError, match=r"floating-point tensor, got torch\.int64"):
        getattr(tiny_generator, carry)(torch.zeros(1, 2, 4, 2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match="floating-point tensor, got list"):
        getattr(tiny_generator, carry)([1.0])


def test_the_wrong_number_of_captions_is_an_error(tiny_generator):
    with pytest.raises(ValueError, match="2 captions for 3 clips; give one, or one for each"):
        tiny_generator.sample(tiny_generator.noise(3), ["a star", "a star"], num_steps=1)


def test_no_noise_is_an_error(tiny_generator):
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        tiny_generator.noise(0)
    with pytest.raises(ValueError, match="needs a caption at least"):
        tiny_generator.generate([])


def test_a_device_is_found_by_name():
    assert find_device("cpu") == torch.device("cpu")
    assert isinstance(find_device("auto"), torch.device)


def test_the_device_is_looked_for_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match="no device 'gpu'"):
        load(tmp_path / "nowhere", device="gpu")


def test_settings_of_other_models_are_refused(tiny_generator, tmp_path):
    tiny_generator.save(tmp_path)
    for wrong in ({"tiling": True}, {"vae_dtype": torch.bfloat16}):
        with pytest.raises(ValueError, match="vae_dtype= and tiling= are for models of diffusers"):
            load(tmp_path, device="cpu", **wrong)


READY = (("cuda", torch.cuda.is_available), ("mps", torch.backends.mps.is_available))  # no machine has both


def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="no device 'gpu'; there are auto, cpu, cuda"):
        find_device("gpu")
    absent = next(name for name, there in READY if not there())
    with pytest.raises(ValueError, match=f"device '{absent}': this machine or this build of torch has none"):
        find_device(absent)


def test_the_dtype_is_the_denoisers_whatever_stands_beside_it(tiny_generator):
    tiny_generator.clip_model.to(torch.bfloat16)
    assert tiny_generator.dtype == torch.float32
    tiny_generator.denoiser.to(torch.bfloat16)
    assert tiny_generator.dtype == torch.bfloat16


def test_networks_are_known_by_role_and_still_by_number(tiny_generator):
    networks = tiny_generator.networks
    assert list(networks) == ["autoencoder", "denoiser", "text"]
    assert networks[1] is networks["denoiser"] is tiny_generator.denoiser
    assert networks[-1] is tiny_generator.clip_model
    with pytest.raises(KeyError, match="vae"):
        networks["vae"]


def test_what_the_model_does_not_read_is_refused(tiny_generator):
    told = tiny_generator.condition("a red star")
    other = replace(told, extras={"class": torch.tensor([1])})
    with pytest.raises(ValueError, match="reads captions alone, its condition has class too"):
        tiny_generator.sample(tiny_generator.noise(1), other, num_steps=1)
    with pytest.raises(ValueError, match="no 'tokens'"):
        tiny_generator.sample(tiny_generator.noise(1), {}, num_steps=1)
    given = tiny_generator.sample(tiny_generator.noise(1), dict(told.parts), num_steps=1)
    assert torch.equal(given, tiny_generator.sample(tiny_generator.noise(1), told, num_steps=1))


class Labelled(type(tiny.generator())):
    """A model of classes, or of nothing: it moves all latents by what it is told."""

    def condition(self, captions):
        return Condition() if captions == "" else Condition(extras={"class": torch.tensor([float(captions)])})

    def predict(self, y, s, condition):
        told = condition.extras.get("class", torch.zeros(len(y)))
        return y * (1 + told.view(-1, 1, 1, 1, 1))


def test_models_of_classes_and_of_nothing_sample_invert_and_come_back(tiny_generator, clips, tmp_path):
    tiny_generator.__class__ = Labelled
    latents = tiny_generator.encode(clips)
    for caption in ({"class": torch.tensor([0.1, 0.2, 0.3])}, Condition(), ""):
        inverted = tiny_generator.invert(latents, caption, num_steps=3, method="leapfrog", batch_size=2)
        inverted.save(tmp_path / "noise.safetensors")
        read = Inverted.load(tmp_path / "noise.safetensors")
        assert len(read.condition) == 3
        assert torch.equal(tiny_generator.sample(read), latents)
