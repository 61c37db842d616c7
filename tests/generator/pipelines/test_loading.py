"""What loads, what is refused, and what a loaded pipeline remembers of itself."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("diffusers")

import diffusers
from generator.pipelines import pipelines

import latentlab
from latentlab.cli import main
from latentlab.generator.condition import Condition
from latentlab.generator.inverted import Inverted
from latentlab.generator.pipelines.cogvideox import CogVideoX
from latentlab.generator.pipelines.families import FAMILIES
from latentlab.generator.pipelines.hub import SETTINGS
from latentlab.generator.pipelines.svd import StableVideo
from latentlab.generator.pipelines.unet import AnimateDiff
from latentlab.generator.pipelines.wan import Wan

SIDES = ("height", "width")
SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def wan_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wan")
    pipelines.wan().pipe.save_pretrained(folder)
    return folder


def made(kind, tiny: pipelines.Tiny):
    generator = kind(tiny.pipe)
    frames, height, width = tiny.video
    generator.config = replace(generator.config, num_frames=frames, height=height, width=width)
    return generator


# ------------------------------------------------------------------------------------------------------------- loading
def test_a_network_in_half_precision_comes_back(wan_folder):
    generator = latentlab.load(wan_folder, device="cpu", dtype=torch.bfloat16)
    assert generator.dtype == torch.bfloat16
    assert generator.coder.vae.dtype == torch.float32
    latents = torch.randn(2, 16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    told = Condition(pipelines.random(1, 8, 32), torch.ones(1, 8, dtype=torch.bool))
    inverted = generator.invert(latents, told, num_steps=25, method="leapfrog")
    back = generator.sample(inverted)
    assert back.dtype == torch.float32
    assert (back - latents).norm() / latents.norm() <= 1e-4
    with pytest.raises(ValueError, match=r"dtype was 'torch.bfloat16', is 'torch.float32'"):
        latentlab.load(wan_folder, device="cpu").sample(inverted)


def test_an_autoencoder_in_half_precision_and_in_tiles(wan_folder):
    generator = latentlab.load(wan_folder, device="cpu", vae_dtype=torch.bfloat16, tiling=True)
    vae = generator.coder.vae
    assert (vae.dtype, generator.dtype, vae.use_tiling) == (torch.bfloat16, torch.float32, True)
    video = torch.rand(1, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert generator.decode(generator.encode(video)).dtype == torch.float32


def test_tiles_are_those_of_diffusers_and_are_recorded(wan_folder, tmp_path):
    generator = latentlab.load(wan_folder, device="cpu")
    assert generator.tiles is None
    sizes = {f"tile_sample_{name}_{side}": size for name, size in (("min", 32), ("stride", 16)) for side in SIDES}
    generator.coder.vae.enable_tiling(**sizes)
    latents = torch.randn(1, 16, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    told = Condition(pipelines.random(1, 8, 32), torch.ones(1, 8, dtype=torch.bool))
    inverted = generator.invert(latents, told, num_steps=2, method="leapfrog")
    assert inverted.tiles == {"use_tiling": True, **sizes}
    inverted.save(tmp_path / "clip.safetensors")
    tiled = generator.decode(generator.sample(Inverted.load(tmp_path / "clip.safetensors")))
    generator.coder.vae.disable_tiling()
    assert not torch.allclose(generator.decode(latents), tiled, atol=1e-3)
    with pytest.raises(ValueError, match=r"tiles was \{'use_tiling': True, .*'tile_sample_min_height': 32.*, is None"):
        generator.sample(inverted)


def test_an_autoencoder_without_tiles_says_so(tmp_path):
    pipelines.svd().pipe.vae.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="AutoencoderKLTemporalDecoder takes frames whole; load it without tiling"):
        latentlab.load(tmp_path, device="cpu", tiling=True)


def test_a_variant_of_the_weights(tmp_path):
    vae = pipelines.image_vae()
    vae.save_pretrained(tmp_path, variant="fp16")
    generator = latentlab.load(tmp_path, device="cpu", variant="fp16")
    assert torch.equal(next(generator.coder.vae.parameters()), next(vae.parameters()))
    with pytest.raises(ValueError, match=r"holds no weights without a variant; load with variant='fp16'"):
        latentlab.load(tmp_path, device="cpu")


def test_real_latents_come_back(wan_folder):
    file = SHARED / "latents" / "test_latents_wan.pth"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    latents = torch.load(file, weights_only=True, map_location="cpu").float()[:, :, :5, :8, :8]
    generator = latentlab.load(wan_folder, device="cpu")
    told = Condition(pipelines.random(1, 8, 32), torch.ones(1, 8, dtype=torch.bool))
    back = generator.sample(generator.invert(latents, told, method="leapfrog"))
    assert (back - latents).norm() / latents.norm() <= 1e-5


@pytest.mark.parametrize("name", ["AutoencoderKL", ["my_code", "Mine"], None])
def test_a_pipeline_of_another_kind_is_refused(tmp_path, name):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(ValueError, match=r"which is no pipeline of diffusers 0\..*latentlab.load\(pipe\)"):
        latentlab.load(tmp_path)


@pytest.mark.parametrize("name", ["model_index.json", "config.json"])
def test_a_file_cut_short_is_named(tmp_path, name):
    for text, said in (("{", "is no JSON, perhaps cut short"), ("[]", "should hold the settings of a model")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"{name} {said}"):
            latentlab.load(tmp_path)


def test_without_diffusers_it_says_what_to_install(wan_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ImportError, match=r"pip install 'latentlab\[diffusers\]'"):
        latentlab.load(wan_folder)


class Hub:
    """The hub as `download` sees it."""

    def __init__(self, monkeypatch, folder: Path) -> None:
        self.index, self.asked, self.up = {"_class_name": "WanPipeline"}, [], True
        self.files, self.folder = ["model_index.json", "vae/config.json"], folder
        pipeline, read = diffusers.DiffusionPipeline, diffusers.DiffusionPipeline.load_config

        def model_info(api, name, revision, timeout):
            if not self.up:
                raise RuntimeError("no network")
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in self.files])

        def load_config(name, *rest, **options):
            if name != "someone/clips":
                return read(name, *rest, **options)
            self.asked.append(options)
            if not self.index:
                raise OSError("no file named model_index.json")
            return self.index

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
        monkeypatch.setattr(pipeline, "load_config", load_config)

        def fetched(*path: str):
            return lambda *name, **options: self.asked.append(options) or str(self.folder.joinpath(*path))

        monkeypatch.setattr(pipeline, "download", fetched())
        monkeypatch.setattr("huggingface_hub.hf_hub_download", fetched("config.json"))
        monkeypatch.setattr("huggingface_hub.snapshot_download", fetched())


@pytest.fixture
def hub(monkeypatch, wan_folder) -> Hub:
    return Hub(monkeypatch, wan_folder)


def test_an_id_goes_to_the_hub_and_only_known_pipelines_are_fetched(hub):
    assert isinstance(latentlab.load("someone/clips", device="cpu"), Wan)
    here = {"revision": None, "local_files_only": False}
    assert hub.asked == [here, {**here, "use_safetensors": True, "variant": None}]
    hub.index = {"_class_name": "UNet2DModel"}
    with pytest.raises(ValueError, match="someone/clips holds a UNet2DModel"):
        latentlab.load("someone/clips")


def test_a_revision_and_a_variant_are_passed_on(hub):
    with pytest.raises(ValueError, match="variant=fp16"):  # which the folder here does not hold
        latentlab.load("someone/clips", device="cpu", revision="v2", variant="fp16")
    assert all(options["revision"] == "v2" for options in hub.asked)
    assert hub.asked[-1]["variant"] == "fp16"


def test_an_id_may_be_of_an_autoencoder(hub, tmp_path):
    pipelines.image_vae().save_pretrained(tmp_path)
    hub.files, hub.folder = ["config.json", "diffusion_pytorch_model.safetensors"], tmp_path
    assert latentlab.load("someone/autoencoder", device="cpu").coder.channels == 4
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    with pytest.raises(ValueError, match="someone/autoencoder holds a UNet2DModel"):
        latentlab.load("someone/autoencoder")
    hub.files = ["README.md"]
    with pytest.raises(FileNotFoundError, match=r"holds neither model_index\.json nor config\.json"):
        latentlab.load("someone/words")


def test_memory_is_told_of_settings_alone_and_no_weights_are_fetched(hub, tmp_path, capsys):
    shutil.copytree(hub.folder, tmp_path / "settings", ignore=shutil.ignore_patterns("*.safetensors"))
    hub.folder = tmp_path / "settings"
    size = ["--num-frames", "5", "--size", "16x32", "--device", "cpu", "--json"]
    assert main(["memory", "--model", "someone/clips", "--job", "decode", "--revision", "v2", *size]) == 0
    assert json.loads(capsys.readouterr().out)["above"]["decode"] > 5 * 3 * 16 * 32 * 4
    assert hub.asked[-1] == {"revision": "v2", "local_files_only": False, "allow_patterns": SETTINGS}
    asked, hub.index = len(hub.asked), {"_class_name": "FluxPipeline"}
    assert main(["memory", "--model", "someone/clips", *size]) != 0
    assert "FluxPipeline, which is driven" in capsys.readouterr().err
    assert len(hub.asked) == asked + 1  # its index alone


def test_without_the_hub_what_was_fetched_before_is_taken(hub, monkeypatch):
    hub.up = False
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file, revision: f"{name}/{file}")
    assert isinstance(latentlab.load("someone/clips", device="cpu"), Wan)
    assert all(options["local_files_only"] for options in hub.asked)


def test_an_id_that_cannot_be_read_is_told_apart_from_a_folder(hub, monkeypatch):
    hub.up, hub.index = False, {}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file, revision: None)
    with pytest.raises(FileNotFoundError, match=r"clips is no folder here, .* the hub: RuntimeError: no network"):
        latentlab.load("someone/clips")
    hub.up = True
    with pytest.raises(FileNotFoundError, match="from the hub: no file named model_index"):
        latentlab.load("someone/clips")


# --------------------------------------------------------------------------------------------------- speed and memory
@pytest.mark.parametrize("name", ["wan", "svd", "hunyuan"])
def test_networks_that_wait_elsewhere_give_the_same_clip(name):
    tiny = pipelines.FAMILIES[name]()
    generator = made(FAMILIES[type(tiny.pipe).__name__], tiny)
    video = torch.rand(1, 3, *tiny.video, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def there_and_back() -> torch.Tensor:
        told = pipelines.condition(tiny, generator)
        return generator.decode(generator.sample(generator.invert(generator.encode(video), told, num_steps=2)))

    plain, called = there_and_back(), []
    generator.offload("cpu")
    for network in generator.modules:
        hook = network._hf_hook
        hook.pre_forward = lambda module, *a, hook=hook, **k: (
            called.append(module) or type(hook).pre_forward(hook, module, *a, **k)
        )
    assert torch.equal(there_and_back(), plain)
    assert {id(network) for network in called} == {id(network) for network in generator.modules}


def test_a_cache_is_refused():
    generator = made(Wan, pipelines.wan())
    generator.denoiser.enable_cache(diffusers.FirstBlockCacheConfig(threshold=0.1))
    told = Condition(pipelines.random(1, 16, 32), torch.ones(1, 16, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"a FirstBlockCacheConfig is on, .*pipe\.transformer\.disable_cache\(\)"):
        generator.invert(generator.noise(1), told)
    generator.denoiser.disable_cache()
    assert generator.invert(generator.noise(1), told, num_steps=2).noise.isfinite().all()


def test_the_cure_of_a_cache_names_the_network_that_has_it():
    generator = made(Wan, pipelines.wan(boundary_ratio=0.875))
    generator.pipe.transformer_2.enable_cache(diffusers.FirstBlockCacheConfig(threshold=0.1))
    told = Condition(pipelines.random(1, 16, 32), torch.ones(1, 16, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"generator\.pipe\.transformer_2\.disable_cache\(\)"):
        generator.sample(generator.noise(1), told)


# ---------------------------------------------------------------------------------------------- what a latent remembers
class Adapted(torch.nn.Linear):
    """A layer as peft leaves it where a LoRA is on."""

    merged_adapters, active_adapters, disable_adapters = (), ("style",), False

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.scaling = {"style": 1.0}


def test_adapters_are_part_of_the_fingerprint():
    generator = made(Wan, pipelines.wan())
    plain = generator.fingerprint()
    generator.denoiser.adapted = layer = Adapted()
    marks = {plain, generator.fingerprint()}
    layer.scaling["style"] = 0.5  # in place of which no weight changes
    marks.add(generator.fingerprint())
    layer.merged_adapters = ("style",)
    assert len({*marks, generator.fingerprint()}) == 4


def test_the_frame_rate_told_to_the_network_is_part_of_the_fingerprint():
    generator = made(FAMILIES["LTXPipeline"], pipelines.ltx())
    before = generator.fingerprint()
    generator.config = replace(generator.config, fps=12.0)
    assert generator.fingerprint() != before


@torch.no_grad()
def test_two_networks_may_have_a_guidance_each():
    tiny = pipelines.wan(boundary_ratio=0.875)
    generator = made(Wan, tiny)
    noise, told, before = generator.noise(1), pipelines.condition(tiny, generator), generator.fingerprint()
    one = generator.sample(noise, told, num_steps=6, method="ddim", guidance=4.0)
    generator.guidance_2 = 2.0
    two = generator.sample(noise, told, num_steps=6, method="ddim", guidance=4.0)
    theirs = pipelines.call(tiny, noise, 4.0, 6, guidance_scale_2=2.0)
    assert (two - theirs).abs().max() <= 2e-5
    assert (two - one).abs().max() > 1e-3
    assert generator.fingerprint() != before


# ------------------------------------------------------------------------------------------------- limits of a family
def test_a_scheduler_that_clips_is_refused_when_sampling_and_can_be_changed():
    generator = made(AnimateDiff, pipelines.animatediff())
    kind, config = diffusers.DDIMScheduler, generator.pipe.scheduler.config
    generator.pipe.scheduler = kind.from_config(config, clip_sample=True)
    told = Condition(pipelines.random(1, 8, 16), torch.ones(1, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="DDIMScheduler with clip_sample=True cannot be inverted"):
        generator.sample(generator.noise(1), told)
    generator.pipe.scheduler = kind.from_config(config, clip_sample=False, timestep_spacing="trailing")
    assert generator.sample(generator.noise(1), told, num_steps=2).isfinite().all()


class Unknown:
    """A scheduler of someone's own, which tells no levels: DDIM's steps behind another face."""

    def __init__(self, ddim) -> None:
        self._ddim, self.config = ddim, ddim.config

    @property
    def timesteps(self):
        return self._ddim.timesteps

    def set_timesteps(self, num_steps: int) -> None:
        self._ddim.set_timesteps(num_steps)

    def step(self, prediction, t, x, return_dict):
        return self._ddim.step(prediction, t, x, return_dict=return_dict)


def test_a_scheduler_that_is_not_known_is_read_by_its_steps():
    generator = made(AnimateDiff, pipelines.animatediff("trailing"))
    told = Condition(pipelines.random(1, 8, 16), torch.ones(1, 8, dtype=torch.bool))
    known = generator.sample(generator.noise(1), told, num_steps=5)
    generator.pipe.scheduler = Unknown(generator.pipe.scheduler)
    torch.testing.assert_close(generator.sample(generator.noise(1), told, num_steps=5), known, atol=1e-4, rtol=1e-4)
    latents = generator.noise(1, seed=1)
    back = generator.sample(generator.invert(latents, told, num_steps=5, method="leapfrog"))
    assert (back - latents).norm() / latents.norm() <= 1e-5


def test_an_inverted_latent_refuses_a_scheduler_that_means_something_else():
    generator = made(AnimateDiff, pipelines.animatediff())
    told = Condition(pipelines.random(1, 8, 16), torch.ones(1, 8, dtype=torch.bool))
    inverted = generator.invert(generator.noise(1), told, num_steps=2, method="leapfrog")
    kind, config = diffusers.DDIMScheduler, generator.pipe.scheduler.config
    generator.pipe.scheduler = kind.from_config(config, timestep_spacing="trailing")  # the levels are in the latent
    assert generator.sample(inverted).isfinite().all()
    for changed in ({"prediction_type": "v_prediction"}, {"beta_schedule": "scaled_linear"}):
        generator.pipe.scheduler = kind.from_config(config, **changed)
        with pytest.raises(ValueError, match="weights was"):
            generator.sample(inverted)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"num_frames": 10}, r"WanPipeline makes clips of 4k \+ 1 frames .* got num_frames=10; nearest: 9 and 13"),
        ({"height": 40}, "sides that are multiples of 16, got height=40; nearest: 32 and 48"),
        ({"width": 8}, "multiples of 16, got width=8; nearest: 16$"),
    ],
)
def test_what_a_family_cannot_make_is_not_asked_of_it(asked, said):
    with pytest.raises(ValueError, match=said):
        latentlab.load(pipelines.wan().pipe, **({"num_frames": 9, "height": 32, "width": 32} | asked))
    generator = Wan(pipelines.wan().pipe)
    generator.config = replace(generator.config, **asked)
    with pytest.raises(ValueError, match=said):
        generator.noise(1)


def test_a_family_without_scheduler_or_with_tokens_of_another_width_says_so():
    pipe = pipelines.wan().pipe
    generator = latentlab.load(pipe, num_frames=9, height=32, width=32)
    width = pipe.transformer.config.text_dim
    with pytest.raises(ValueError, match=rf"reads tokens of \(caption, token, {width}\), got \(1, 5, 7\)"):
        generator.sample(generator.noise(1), Condition(torch.zeros(1, 5, 7)), num_steps=2)
    pipe.scheduler = None
    with pytest.raises(ValueError, match=r"this WanPipeline has no scheduler.*from_pretrained\(folder"):
        latentlab.load(pipe)


def test_motion_modules_know_so_many_frames():
    generator = made(AnimateDiff, pipelines.animatediff())
    told = Condition(pipelines.random(1, 8, 16), torch.ones(1, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="know 8 frames at most, got 9"):
        generator.invert(torch.zeros(1, 4, 9, 4, 4), told)


def test_cogvideox_15_is_refused():
    tiny = pipelines.cogvideox()
    tiny.pipe.transformer.register_to_config(patch_size_t=2)
    with pytest.raises(ValueError, match=r"CogVideoX 1\.5 .* is not supported"):
        CogVideoX(tiny.pipe)


def test_latents_that_no_clip_has_are_refused():
    """Two latent frames of CogVideoX would decode to eight frames, not five."""
    generator = made(CogVideoX, pipelines.cogvideox())
    with pytest.raises(ValueError, match=r"holds clips of 8k \+ 1 frames .* 2 x 4 x 4 latents are none of them"):
        generator.decode(torch.zeros(1, 4, 2, 4, 4))


class TestStableVideo:
    @pytest.fixture(scope="class")
    def generator(self):
        return made(StableVideo, pipelines.svd())

    def test_the_chunk_of_decoding_matters_and_is_recorded(self, generator):
        latents = torch.randn(1, 4, 3, 4, 4, generator=torch.Generator().manual_seed(0))
        inverted = generator.invert(latents, generator.condition(pipelines.picture()), num_steps=2, method="leapfrog")
        together = generator.decode(latents)
        generator.coder.frames_at_once = 1
        try:
            assert not torch.allclose(generator.decode(latents), together, atol=1e-3)
            with pytest.raises(ValueError, match="decode_chunk was 3, is 1"):
                generator.sample(inverted)
        finally:
            generator.coder.frames_at_once = 3

    def test_long_clips_are_decoded_as_the_pipeline_decodes_them(self):
        tiny = pipelines.svd()
        tiny.pipe.unet.register_to_config(num_frames=10)
        generator = made(StableVideo, tiny)
        latents = torch.randn(1, 4, 10, 4, 4, generator=torch.Generator().manual_seed(0))
        assert generator.decode_chunk == 10
        theirs = tiny.pipe.decode_latents(latents.transpose(1, 2), num_frames=10, decode_chunk_size=10)
        torch.testing.assert_close(generator.decode(latents), theirs.clamp(-1, 1), atol=1e-5, rtol=0)

    def test_an_image_becomes_a_clip(self, generator):
        made = generator.generate(pipelines.picture(), num_steps=2)
        assert made.shape == (1, 3, 3, 32, 32)
        assert torch.equal(generator.generate(generator.condition(pipelines.picture()), num_steps=2), made)

    def test_its_condition_is_the_first_frame(self, generator):
        image = pipelines.picture()
        clip = torch.stack([image, -image], dim=2)
        torch.testing.assert_close(generator.condition(clip).tokens, generator.condition(image).tokens)
        assert generator.condition(image, motion_bucket=40).more["ids"].tolist() == [[6, 40, pytest.approx(0.02)]]

    def test_the_image_has_the_size_of_the_clip(self, generator):
        image = torch.zeros(1, 3, 48, 32)
        with pytest.raises(ValueError, match=r"image has \(6, 4\) latents, the clip \(4, 4\)"):
            generator.sample(generator.noise(1), generator.condition(image))
        with pytest.raises(ValueError, match=r"multiples of 8, got 1 frames of 47 x 32"):
            generator.condition(image[:, :, :47])

    def test_noise_on_the_image_depends_on_seed_and_item_alone(self, generator):
        image = pipelines.picture().expand(2, -1, -1, -1)
        both, first = (generator.condition(x, noise=0.5).more["image"] for x in (image, image[:1]))
        torch.testing.assert_close(both[:1], first)
        assert not torch.allclose(both[0], both[1])
        assert not torch.allclose(first, generator.condition(image[:1], noise=0.5, seed=1).more["image"])

    def test_guidance_rises_from_the_first_frame_to_the_last(self, generator):
        y = torch.randn(1, 4, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        told = generator.condition(pipelines.picture(), noise=0.0)
        plain, guided = (generator.velocity(told, g)(y, 0.5) for g in (1.0, 3.0))
        torch.testing.assert_close(guided[:, :, 0], plain[:, :, 0], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(guided[:, :, 2], plain[:, :, 2], atol=1e-3)
