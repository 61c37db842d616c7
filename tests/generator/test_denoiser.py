"""The denoiser: who sees whom."""

from dataclasses import replace

import pytest
import torch
from tiny import awake

from latentlab.generator.blocks import sinusoid
from latentlab.generator.denoiser import Denoiser, DenoiserConfig, cosine_basis, pooled

TINY = DenoiserConfig(2, context_width=12, widths=(16, 32), blocks=1, head_width=8, window=1, frame_patch=1)


def inputs(batch: int = 2, frames: int = 5, height: int = 4, width: int = 4):
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(batch, 2, frames, height, width, generator=generator)
    tokens = torch.randn(batch, 6, 12, generator=generator)
    mask = torch.arange(6)[None] < torch.tensor([4, 3, 5, 2])[:batch, None]
    return y, torch.linspace(0.2, 0.8, batch), tokens, mask


def network(**changes) -> Denoiser:
    return awake(Denoiser(replace(TINY, **changes)))


def frames_seen(net: Denoiser, frame: int) -> set[int]:
    """Frames of the input that frame `frame` of the output depends on, by the gradient."""
    y, s, tokens, mask = inputs(batch=1)
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(net(y, s, tokens, mask)[:, :, frame].square().sum(), y)
    return {i for i in range(y.shape[2]) if gradient[:, :, i].abs().max() > 0}


def test_a_new_network_is_the_best_linear_denoiser_of_its_spread():
    """E[v | y] of independent Gaussian coefficients with standard deviation tau, in closed form."""
    net = Denoiser(replace(TINY, window=2, frame_patch=2))
    net.spread.copy_(torch.tensor([2.0, 1.5, 0.3, 0.1]))  # (coefficient, channel)
    y, s, tokens, mask = inputs(frames=4)
    z = net.to_coefficients(y)
    at, tau = s.repeat_interleave(2)[:, None, None, None], net.spread[:, None, None]
    clean = tau**2 * (1 - at) * z / ((1 - at) ** 2 * tau**2 + at**2)
    expected = net.from_coefficients((z - clean) / at, batch=2)
    torch.testing.assert_close(net(y, s, tokens, mask), expected, atol=1e-5, rtol=1e-5)


def test_the_velocity_is_finite_at_both_ends_of_flow_time():
    y, _, tokens, mask = inputs()
    for s in (0.0, 1.0):
        assert network()(y, torch.full((2,), s), tokens, mask).isfinite().all()


def test_the_basis_of_a_patch_is_orthonormal_and_its_first_row_the_mean():
    basis = cosine_basis(4)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(basis[0], torch.full((4,), 0.5))


def test_spread_of_normal_coefficients_is_their_standard_deviation():
    net = Denoiser(replace(TINY, window=2, frame_patch=2))
    latents = torch.randn(200, 2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    latents[:, :, 1::2] = latents[:, :, ::2]  # pairs of equal frames: sqrt(2) in the mean, nothing in the difference
    net.measure_spread(latents)
    torch.testing.assert_close(net.spread, torch.tensor([2**0.5, 2**0.5, 1e-2, 1e-2]), rtol=0.06, atol=0)


def test_a_quiet_word_is_heard_as_loudly_as_a_loud_one():
    net = network()
    generator = torch.Generator().manual_seed(0)
    loud, quiet = torch.randn(2, 400, 1, generator=generator).sign()
    tokens = torch.randn(400, 3, TINY.context_width, generator=generator) * 1e-3
    tokens[:, 0] += loud + 0.05 * quiet * (-1.0) ** torch.arange(TINY.context_width)
    mask = torch.ones(400, 3, dtype=torch.bool)
    net.measure_captions(tokens, mask)
    heard = net.caption[0](pooled(tokens, mask))
    effect = [torch.linalg.norm((heard * word).mean(0)).item() for word in (loud, quiet)]
    assert effect[1] == pytest.approx(effect[0], rel=0.1)


@pytest.mark.parametrize(("count", "scale"), [(3, 1.0), (400, 0.0)])
def test_captions_that_tell_nothing_leave_the_network_as_it_was(count, scale):
    net = network()
    before = net.caption[0].weight.clone()
    net.measure_captions(scale * torch.randn(count, 3, TINY.context_width), torch.ones(count, 3, dtype=torch.bool))
    torch.testing.assert_close(net.caption[0].weight, before)


def test_without_time_mixing_frames_do_not_see_each_other():
    net = network(temporal_convolution=False, temporal_attention=False)
    assert all(frames_seen(net, i) == {i} for i in range(5))


def test_with_convolution_over_time_frames_see_their_neighbours():
    """Five blocks, one frame further each: the first frame sees the last of five."""
    assert frames_seen(network(temporal_attention=False), 0) == {0, 1, 2, 3, 4}
    one = network(temporal_attention=False)
    for i, block in enumerate([*one.down[0], *one.down[1], one.middle, *one.up[1], *one.up[0]]):
        if i:
            torch.nn.init.zeros_(block.time.mix.weight)
    assert frames_seen(one, 2) == {1, 2, 3}


def test_with_attention_over_time_frames_see_the_whole_clip():
    assert frames_seen(network(temporal_convolution=False), 2) == {0, 1, 2, 3, 4}


def test_frames_of_a_patch_enter_together_and_leave_in_their_places():
    net = network(temporal_convolution=False, temporal_attention=False, window=2, frame_patch=2)
    y, s, tokens, mask = inputs(batch=1, frames=6)
    y.requires_grad_()
    for frame in range(6):
        (gradient,) = torch.autograd.grad(net(y, s, tokens, mask)[:, :, frame].square().sum(), y)
        assert {i for i in range(6) if gradient[:, :, i].abs().max() > 0} == {frame // 2 * 2, frame // 2 * 2 + 1}


def test_patches_see_the_coefficients_of_their_whole_window_and_no_other():
    net = network(temporal_convolution=False, temporal_attention=False, window=4, frame_patch=2)
    y, s, tokens, mask = inputs(batch=1, frames=8)
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(net(y, s, tokens, mask)[:, :, 1].square().sum(), y)
    assert {i for i in range(8) if gradient[:, :, i].abs().max() > 0} == {0, 1, 2, 3}


def test_patches_know_their_place_in_the_window():
    net = network(temporal_convolution=False, temporal_attention=False, window=4, frame_patch=2)
    y, s, tokens, mask = inputs(batch=1, frames=4)
    still = y[:, :, :1].expand(-1, -1, 4, -1, -1)
    v = net(still, s, tokens, mask)
    assert (v[:, :, 0] - v[:, :, 2]).abs().max() > 1e-3


def test_what_is_split_into_patches_joins_to_what_it_was():
    net = network(window=4, frame_patch=2)
    z = torch.randn(3, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net._join(net._split(z)), 2 * z)  # once from the frames, once from the window


def test_a_window_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(ValueError, match="window of 4 frames"):
        Denoiser(replace(TINY, window=4, frame_patch=3))


def test_a_length_that_is_no_multiple_of_the_window_is_refused():
    with pytest.raises(ValueError, match="multiple of 2 frames for this denoiser, got 5"):
        network(window=2, frame_patch=2)(*inputs(frames=5))


def test_without_time_mixing_the_order_of_frames_does_not_matter_and_with_it_it_does():
    y, s, tokens, mask = inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    still = network(temporal_convolution=False, temporal_attention=False)
    torch.testing.assert_close(still(y[:, :, order], s, tokens, mask), still(y, s, tokens, mask)[:, :, order])
    for switch in ("temporal_convolution", "temporal_attention"):
        moving = network(**{switch: False})
        change = moving(y[:, :, order], s, tokens, mask) - moving(y, s, tokens, mask)[:, :, order]
        assert change.abs().max() > 1e-4


def test_clips_of_a_batch_are_independent():
    net, (y, s, tokens, mask) = network(), inputs(batch=3)
    together = net(y, s, tokens, mask)
    for i in range(3):
        alone = net(y[i : i + 1], s[i : i + 1], tokens[i : i + 1], mask[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_padding_tokens_are_ignored_and_the_others_are_not():
    net, (y, s, tokens, mask) = network(), inputs()
    said = net(y, s, tokens, mask)
    torch.testing.assert_close(net(y, s, torch.where(mask[..., None], tokens, 1e3), mask), said)
    assert (net(y, s, torch.where(mask[..., None], tokens + 1, tokens), mask) - said).abs().max() > 1e-3


def test_the_flow_time_matters():
    net, (y, s, tokens, mask) = network(), inputs()
    assert (net(y, s + 0.1, tokens, mask) - net(y, s, tokens, mask)).abs().max() > 1e-3


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 4, 4), (9, 2, 6), (32, 8, 8)])
def test_other_lengths_and_sizes_work(frames, height, width):
    y, s, tokens, mask = inputs(1, frames, height, width)
    out = network()(y, s, tokens, mask)
    assert out.shape == y.shape
    assert out.isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(3, 4), (4, 5)])
def test_odd_sides_are_an_error_that_says_so(height, width):
    with pytest.raises(ValueError, match=f"multiples of 2, got {height} x {width}"):
        network()(*inputs(1, 2, height, width))


def test_every_parameter_learns():
    net = network()
    net(*inputs()).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert idle == []


def test_sinusoids_have_unit_circles_of_slowing_speed():
    wave = sinusoid(torch.arange(50.0), 8)
    torch.testing.assert_close(wave[:, :4] ** 2 + wave[:, 4:] ** 2, torch.ones(50, 4))
    torch.testing.assert_close(wave[:, 0], torch.arange(50.0).sin())
    torch.testing.assert_close(wave[:, 2], (torch.arange(50.0) / 100).sin())
