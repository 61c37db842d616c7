"""The vector VAE: shapes, priors in closed form, what static and motion codes can see."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from latentlab.data import moving_frames
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.generator.vector_vae import PATCH, PERIOD, STEP, VectorVAE, VectorVAEConfig, load_vector_vae
from latentlab.metrics.disentanglement import mig
from latentlab.metrics.perceptual import psnr
from latentlab.spaces import VectorSpace

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


def test_rings_are_angles():
    vae = vae_of(dims=4, rings=2)
    codes = vae.encode(clips(1, 50))
    assert codes[:, :2].abs().max() <= PERIOD / 2 + 1e-6
    turned = codes + torch.tensor([PERIOD, -PERIOD, 0.0, 0.0])
    assert torch.allclose(vae.decode(turned), vae.decode(codes), atol=1e-5)
    assert not torch.allclose(vae.decode(codes + 0.5 * PERIOD), vae.decode(codes), atol=1e-4)


@pytest.mark.parametrize("deviation", [0.1, 0.6, 1.0, 1.2, 1.5, 3.0])
def test_the_kl_of_a_ring_is_that_of_a_wrapped_normal(deviation):
    angle = torch.arange(-math.pi, math.pi, 1e-3, dtype=torch.float64)
    turns = angle[:, None] + 2 * math.pi * torch.arange(-8, 9)
    density = torch.distributions.Normal(0.0, deviation).log_prob(turns).logsumexp(1)
    exact = (density.exp() * (density + math.log(2 * math.pi))).sum() * 1e-3
    logvar = torch.full((1, 1), 2 * math.log(deviation * PERIOD / (2 * math.pi)))
    found = vae_of(dims=1, rings=1).kl(torch.rand(1, 1), logvar)
    assert found.item() == pytest.approx(exact.item(), abs=0.03)


def test_the_last_two_dims_move_the_picture_right_and_down():
    vae = vae_of(dims=4, moves=True)
    a_patch = 2 / (SMALL["size"][1] // PATCH - 1) / STEP  # columns of patches lie that far apart
    still, right = vae.decode(torch.zeros(1, 4)), vae.decode(torch.tensor([[0.0, 0.0, a_patch, 0.0]]))
    assert torch.allclose(right[..., PATCH:], still[..., :-PATCH], atol=1e-5)
    a_patch = 2 / (SMALL["size"][0] // PATCH - 1) / STEP
    down = vae.decode(torch.tensor([[0.0, 0.0, 0.0, a_patch]]))
    assert torch.allclose(down[..., PATCH:, :], still[..., :-PATCH, :], atol=1e-5)


def test_a_motion_code_moves_each_frame_on_its_own():
    vae = vae_of(dims=3, rings=1, num_frames=4, motion_dims=2, moves=True)
    code = torch.cat([torch.randn(1, 3), torch.zeros(1, 6), torch.ones(1, 2)], 1)
    video = vae.decode(code)
    assert torch.allclose(video[:, :, 0], video[:, :, 2], atol=1e-6)
    assert not torch.allclose(video[:, :, 0], video[:, :, 3], atol=1e-3)


@pytest.mark.parametrize(
    "shape",
    [
        {"dims": 0},
        {"dims": 2, "rings": 3},
        {"rings": -1},
        {"dims": 3, "rings": 2, "moves": True},
        {"motion_dims": -1},
        {"num_frames": 0},
        {"size": (20, 32)},
        {"size": (0, 32)},
        {"smoothness": 1.0},
    ],
)
def test_shapes_that_make_no_network(shape):
    with pytest.raises(ValueError, match=r"must (not )?be"):
        VectorVAEConfig(**(SMALL | shape))


def test_wrong_clips_and_codes_are_told():
    vae = vae_of(dims=3)
    for video in (clips(2), clips(1)[..., :16], clips(1)[:, :1], clips(1)[0]):
        with pytest.raises(ValueError, match="codes clips"):
            vae.encode(video)
    for codes in (torch.zeros(2, 4), torch.zeros(3)):
        with pytest.raises(ValueError, match="codes must be"):
            vae.decode(codes)


def test_the_shipped_one_knows_the_place_and_the_ground_of_frames_it_never_saw():
    video, factors = moving_frames(200, HELD_OUT_SEED + 5)
    space = VectorSpace(load_vector_vae())
    codes = space.encode(video)
    assert psnr(space.decode(codes), video).mean() > 29
    for name, dim in (("x", -2), ("y", -1)):
        assert np.corrcoef(codes[:, dim], factors[name])[0, 1] > 0.97
    gaps = mig(codes, factors, null=0, bootstrap=0).per_factor  # what one dim knows and no other does
    assert min(gaps[name] for name in ("background_hue", "x", "y")) > 0.3


def test_a_run_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="train vector-vae"):
        load_vector_vae(tmp_path)
