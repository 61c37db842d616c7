"""Autoencoders without a denoiser: of images and of clips, random and really trained."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import latentlab

SHARED = Path(__file__).parents[4] / "shared" / "data"


def saved(vae, folder: Path) -> latentlab.Generator:
    vae.save_pretrained(folder)
    return latentlab.load(folder, device="cpu")


def clip(frames: int, *, height: int = 32, width: int = 32, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, frames, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def kl():
    from generator.pipelines.pipelines import image_vae

    return image_vae()


def tiny():
    import diffusers

    torch.manual_seed(0)
    widths = {"encoder_block_out_channels": (8, 8, 8, 8), "decoder_block_out_channels": (8, 8, 8, 8)}
    return diffusers.AutoencoderTiny(**widths, num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1))


def wan():
    from generator.pipelines.pipelines import wan_vae

    return wan_vae()


@pytest.mark.parametrize(
    ("make", "frames", "latents"),
    [(kl, 3, (4, 3, 4, 4)), (tiny, 3, (4, 3, 4, 4)), (wan, 9, (16, 3, 4, 4))],
    ids=["AutoencoderKL", "AutoencoderTiny", "AutoencoderKLWan"],
)
class TestEach:
    def test_there_and_back(self, make, frames, latents, tmp_path):
        pytest.importorskip("diffusers")
        vae, video = make(), clip(frames)
        generator = saved(vae, tmp_path)
        z = generator.encode(video)
        assert z.shape[1:] == latents
        again = generator.decode(z)
        assert again.shape == video.shape
        assert again.abs().max() <= 1

    def test_codes_interpolate(self, make, frames, latents, tmp_path):
        pytest.importorskip("diffusers")
        generator = saved(make(), tmp_path)
        generator.config = replace(generator.config, num_frames=frames, height=32, width=32)
        space = latentlab.LatentSpace(generator)
        codes = space.encode(clip(frames, count=2))
        halfway = latentlab.slerp(codes[:1], codes[1:], 0.5)
        assert space.decode(halfway.flatten(0, 1)).shape == clip(frames).shape

    def test_sampling_says_why_it_does_not(self, make, frames, latents, tmp_path):
        pytest.importorskip("diffusers")
        generator = saved(make(), tmp_path)
        with pytest.raises(ValueError, match=rf"{type(make()).__name__} is an autoencoder alone"):
            generator.invert(generator.encode(clip(frames)))
        with pytest.raises(ValueError, match="no denoiser to sample"):
            generator.sample(generator.noise(1))


def test_frames_at_once_do_not_matter_where_frames_are_coded_one_by_one(tmp_path):
    pytest.importorskip("diffusers")
    generator = saved(kl(), tmp_path)
    video = clip(7)
    whole = generator.encode(video)
    generator.coder.frames_at_once = 3
    torch.testing.assert_close(generator.encode(video), whole, atol=1e-5, rtol=1e-5)
    assert generator.decode_chunk is None


def test_a_network_that_is_no_autoencoder_is_refused(tmp_path):
    pytest.importorskip("diffusers")
    (tmp_path / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    with pytest.raises(ValueError, match="holds a UNet2DModel; give the folder of an autoencoder"):
        latentlab.load(tmp_path)


def taef2() -> latentlab.Generator:
    folder = SHARED / "weights" / "taef2"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return latentlab.load(folder, device="cpu")


@pytest.mark.parametrize(("name", "frames"), [("flower", 2), ("wolf", 1), ("car_turn", 1)])
def test_photographs_and_clips_through_a_really_trained_autoencoder(name, frames):
    generator = taef2()
    video = latentlab.video.read(SHARED / "clips" / f"{name}.mp4", stop=frames).video
    video = F.interpolate(video[0].transpose(0, 1), (160, 208), mode="area").transpose(0, 1)[None]
    latents = generator.encode(video)
    assert latents.shape == (1, 32, frames, 20, 26)
    assert 0.5 < latents.std() < 1.5
    error = (generator.decode(latents) - video).square().mean()
    assert 10 * torch.log10(4 / error) >= 25


def test_its_frames_must_be_whole_grids_and_padding_makes_them_so():
    generator, video = taef2(), clip(2, height=30, width=44)
    with pytest.raises(ValueError, match=r"sides that are multiples of 8, got 2 frames of 30 x 44; .*2 of 32 x 48"):
        generator.encode(video)
    again = generator.decode(generator.encode(generator.padded(video)))[:, :, :2, :30, :44]
    assert again.shape == video.shape


def test_threads_may_decode_with_an_autoencoder_that_keeps_its_state_on_itself(tmp_path):
    """AutoencoderKLWan carries features from latent to latent in attributes."""
    pytest.importorskip("diffusers")
    from generator.test_lock import assert_as_alone

    generator = saved(wan(), tmp_path)
    first, second = (generator.encode(clip(9, height=16, width=16) * sign) for sign in (1, -1))
    assert_as_alone(lambda: generator.decode(first), lambda: generator.decode(second))


def test_the_length_of_clips_is_read_from_one_that_is_encoded(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2, 4], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    generator = saved(vae, tmp_path)  # its settings tell no ratio of frames
    assert generator.encode(clip(5)).shape[2:] == (3, 8, 8)
    assert generator.decode(generator.encode(clip(5))).shape == clip(5).shape


def test_an_autoencoder_that_works_in_tiles_alone_says_so_and_codes_frames_in_fours():
    diffusers = pytest.importorskip("diffusers")
    from latentlab.generator.pipelines.coder import Coder

    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLAllegro(block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=2)
    with pytest.raises(ValueError, match=r"AutoencoderKLAllegro encodes nothing as it stands .* tiling=True"):
        Coder(vae)
    vae.enable_tiling()
    coder = Coder(vae)
    assert (coder.images, coder.time_ratio, coder.space_ratio, coder.alone) == (False, 4, 8, 0)


def test_statistics_of_each_frame_are_those_of_its_frame(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    mean = torch.arange(8.0).view(4, 2)  # of four channels, first frame and after
    vae = diffusers.AutoencoderKLCosmos(
        latent_channels=4, encoder_block_out_channels=(8, 8, 8, 8), decode_block_out_channels=(8, 8, 8, 8),
        attention_resolutions=(8,), resolution=64, num_layers=1, patch_size=4, spatial_compression_ratio=4,
        temporal_compression_ratio=4, latents_mean=mean.flatten().tolist(), latents_std=[1.0] * 8,
    )  # fmt: skip
    generator = saved(vae, tmp_path)
    video = clip(9)
    z = generator.coder.coded(video)
    assert (z[0].mean((2, 3)) - generator.encode(video)[0].mean((2, 3)) - mean[:, [0, 1, 1]]).abs().max() <= 1e-5


def test_an_autoencoder_of_another_name_is_one():
    diffusers = pytest.importorskip("diffusers")
    from latentlab.generator.pipelines.families import autoencoder_kind

    assert autoencoder_kind(diffusers, "here", {"_class_name": "AsymmetricAutoencoderKL"}).__name__.startswith("Asym")
    with pytest.raises(ValueError, match="holds a UNet2DConditionModel; give the folder of an autoencoder"):
        autoencoder_kind(diffusers, "here", {"_class_name": "UNet2DConditionModel"})
