"""The vector VAE: shapes, priors in closed form, what static and motion codes can see."""

import math
from pathlib import Path

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from latentlab.generator.vector_vae import VectorVAE, VectorVAEConfig, load_vector_vae

SMALL = {"size": (16, 32), "width": 8, "hidden": 16}


def vae_of(**shape) -> VectorVAE:
    torch.manual_seed(0)
    return VectorVAE(VectorVAEConfig(**(SMALL | shape)))


def clips(frames: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, frames, 16, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(
    ("shape", "dims"),
    [({"dims": 4}, 4), ({"dims": 4, "num_frames": 5}, 4), ({"dims": 4, "num_frames": 5, "motion_dims": 2}, 14)],
)
def test_frames_clips_and_sequences_become_codes_and_back(shape, dims):
    vae = vae_of(**shape)
    video = clips(shape.get("num_frames", 1))
    codes = vae.encode(video)
    assert codes.shape == (3, dims) == (3, vae.config.code_dims)
    again = vae.decode(codes)
    assert again.shape == video.shape
    assert -1 <= again.min() <= again.max() <= 1
    assert torch.allclose(vae.encode(video[1:2]), codes[1:2], atol=1e-5)


def test_the_static_code_knows_no_order_and_the_motion_code_does():
    vae = vae_of(dims=4, num_frames=5, motion_dims=2)
    video = clips(5)
    codes, back = vae.encode(video), vae.encode(video.flip(2))
    assert torch.allclose(codes[:, :4], back[:, :4], atol=1e-5)
    assert torch.allclose(vae.by_frame(codes)[..., 4:], vae.by_frame(back)[..., 4:].flip(1), atol=1e-5)
    assert not torch.allclose(codes[:, 4:], back[:, 4:], atol=1e-3)


def test_without_motion_a_static_code_draws_a_still_clip_and_a_whole_one_may_move():
    torch.manual_seed(0)
    split, whole = vae_of(dims=4, num_frames=5, motion_dims=2), vae_of(dims=4, num_frames=5)
    code = torch.randn(2, 4)
    still = split.decode(torch.cat([code, torch.zeros(2, 10)], 1))
    assert torch.allclose(still, still[:, :, :1].expand_as(still), atol=1e-6)
    assert (whole.decode(code).diff(dim=2)).abs().max() > 1e-4


def test_the_kl_is_that_of_gaussians_and_of_a_walk():
    mean, logvar = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = vae_of(dims=8)
    expected = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(1)
    torch.testing.assert_close(plain.kl(mean, logvar), expected)
    walk = vae_of(dims=2, num_frames=3, motion_dims=2, smoothness=0.7)
    gaps = (torch.arange(3)[:, None] - torch.arange(3)).abs()
    prior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), 0.7 ** gaps.double())
    motion_mean, motion_variance = mean[:, 2:].reshape(4, 3, 2), logvar[:, 2:].reshape(4, 3, 2).exp()
    found = 0.5 * (mean[:, :2] ** 2 + logvar[:, :2].exp() - 1 - logvar[:, :2]).sum(1)
    for j in range(2):
        posterior = MultivariateNormal(motion_mean[..., j], torch.diag_embed(motion_variance[..., j]))
        found = found + kl_divergence(posterior, prior)
    torch.testing.assert_close(walk.kl(mean, logvar), found, rtol=1e-5, atol=1e-6)


def test_the_kl_of_the_prior_is_zero():
    vae = vae_of(dims=3)
    assert vae.kl(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() < 1e-6
    assert vae.kl(torch.ones(1, 3), torch.full((1, 3), math.log(2.0))).item() == pytest.approx(1.5 * (2 - math.log(2)))


@pytest.mark.parametrize(
    "shape",
    [{"dims": 0}, {"motion_dims": -1}, {"num_frames": 0}, {"size": (20, 32)}, {"size": (0, 32)}, {"smoothness": 1.0}],
)
def test_shapes_that_make_no_network(shape):
    with pytest.raises(ValueError, match="must be"):
        VectorVAEConfig(**(SMALL | shape))


def test_wrong_clips_and_codes_are_told():
    vae = vae_of(dims=3)
    for video in (clips(2), clips(1)[..., :16], clips(1)[:, :1], clips(1)[0]):
        with pytest.raises(ValueError, match="codes clips"):
            vae.encode(video)
    for codes in (torch.zeros(2, 4), torch.zeros(3)):
        with pytest.raises(ValueError, match="codes must be"):
            vae.decode(codes)


def test_a_run_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="train vector-vae"):
        load_vector_vae(tmp_path)
