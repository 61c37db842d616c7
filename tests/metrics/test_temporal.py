"""Flicker, on clips whose jitter and motion are known."""

import pytest
import torch
import torch.nn.functional as F

from latentlab.data.moving.dataset import MovingShapes
from latentlab.metrics.flow import dis, still, visible, warp
from latentlab.metrics.temporal import flicker, flicker_loss, latent_flicker, spectral

COMPONENTS = ("overall", "whole", "regional", "texture", "motion_jitter", "difference", "coverage", "spectral")
AMPLITUDES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def scene(frames: int = 16, side: int = 32) -> torch.Tensor:
    return normal(1, 3, 1, side, side, seed=9).expand(1, 3, frames, side, side) * 0.3


def pan(speed: float, *, frames: int = 12, side: int = 128) -> torch.Tensor:
    """A camera that moves over a large picture with detail at several scales, like a photograph."""
    wide = side + int(speed * frames) + 2
    layers = [normal(1, 3, side // s + 2, wide // s + 2, seed=s) * s**0.7 for s in (2, 4, 8, 16, 32)]
    picture = sum(F.interpolate(x, (side, wide), mode="bicubic") for x in layers)
    picture = 0.5 * picture / picture.std()
    shift = torch.zeros(frames, 2, side, wide)
    shift[:, 0] = speed * torch.arange(frames)[:, None, None]
    return warp(picture.expand(frames, -1, -1, -1), shift)[..., :side].transpose(0, 1)[None].clamp(-1, 1)


class TestStillScenes:
    @pytest.mark.parametrize("jitter", [0.5, 4.0, 12.0])
    def test_independent_jitter_of_a_levels_reads_a(self, jitter):
        measured = flicker(scene() + jitter / 127.5 * normal(1, 3, 16, 32, 32), flow=still)
        assert measured.overall.item() == pytest.approx(jitter, rel=0.05)
        assert measured.series["overall"].mean().item() == pytest.approx(jitter, rel=0.05)
        assert measured.texture.item() == pytest.approx(jitter, rel=0.1)
        assert measured.coverage.item() == 1

    @pytest.mark.parametrize("jitter", [0.5, 4.0])
    def test_brightness_jitter_of_a_levels_reads_a(self, jitter):
        frames = 4000
        clip = scene(frames, side=8) + jitter / 127.5 * normal(1, 1, frames, 1, 1)
        measured = flicker(clip, flow=still)
        assert measured.whole.item() == pytest.approx(jitter, rel=0.05)
        assert measured.overall.item() == pytest.approx(jitter, rel=0.05)
        assert measured.texture.item() < 1e-2

    def test_linear_fades_do_not_flicker(self):
        fade = torch.linspace(-0.5, 0.5, 16).view(1, 1, 16, 1, 1)
        measured = flicker(scene() + fade * torch.tensor([1.0, -0.5, 0.2]).view(1, 3, 1, 1, 1), flow=still)
        assert max(getattr(measured, name).item() for name in ("overall", "whole", "regional", "texture")) < 1e-2
        assert measured.difference.item() > 1

    def test_the_series_finds_the_frame_that_jumps(self):
        clip = scene().clone()
        clip[:, :, 7] += 0.1
        series = flicker(clip, flow=still).series["overall"][0]
        assert series.shape == (14,)
        assert series.argmax().item() == 6  # inner frames count from the second
        assert series[[0, 1, 2, 9, 13]].max() < 1e-2

    def test_the_plain_difference_is_in_eight_bit_levels(self):
        clip = (torch.arange(4.0) * 2 / 127.5).view(1, 1, 4, 1, 1).expand(1, 3, 4, 8, 8)
        assert flicker(clip, flow=still).difference.item() == pytest.approx(2)


class TestMotion:
    @pytest.mark.parametrize("speed", [0.0, 0.25, 2.0, 8.0])
    def test_a_pan_is_not_flicker(self, speed):
        measured = flicker(pan(speed))
        assert measured.whole.item() <= 0.05
        assert measured.regional.item() <= 0.2
        assert measured.overall.item() <= 1.0
        assert speed == 0 or measured.difference.item() > 3 * measured.overall.item()

    def test_moving_shapes_do_not_flicker(self):
        clip = MovingShapes(1, seed=5, fixed={"speed": 0.75, "blur": 0.0})[0].video
        measured = flicker(clip)
        assert measured.whole.item() <= 0.05
        assert measured.regional.item() <= 0.2
        assert measured.overall.item() <= 1.0

    @pytest.mark.parametrize("kind", ["whole", "regional", "overall"])
    def test_jitter_on_a_pan_is_recovered_in_its_own_component(self, kind):
        """Spearman 1.0 over the amplitudes; within 25 % from 1 level on (2 for noise on single pixels)."""
        clip = pan(2.0, frames=20)
        shape = {"whole": (1, 1, 20, 1, 1), "regional": (1, 1, 20, 6, 6), "overall": clip.shape}[kind]
        jitter = normal(*shape, seed=3)
        if kind == "regional":
            jitter = F.interpolate(jitter[0], clip.shape[3:], mode="bicubic")[None]
            jitter = jitter - jitter.mean((3, 4), keepdim=True)
        jitter = jitter / jitter.std()
        read = [getattr(flicker(clip + a / 127.5 * jitter), kind).item() for a in AMPLITUDES]
        assert read == sorted(read)
        # Twenty frames are a small sample of jitter: what they really hold is the three-frame residual of it alone.
        alone = (jitter[:, :, 1:-1] - 0.5 * (jitter[:, :, :-2] + jitter[:, :, 2:])).square().mean().sqrt() / 1.5**0.5
        for a, found in zip(AMPLITUDES, read, strict=True):
            if a >= (2 if kind == "overall" else 1):
                assert found == pytest.approx(a * alone.item(), rel=0.25)

    def test_global_jitter_does_not_leak_into_texture(self):
        clip = pan(2.0)
        jitter = normal(1, 1, 12, 1, 1)
        jitter = 4 / 127.5 * jitter / jitter.std()
        assert flicker(clip + jitter).texture.item() - flicker(clip).texture.item() <= 0.1

    def test_swapped_frames_raise_motion_jitter(self):
        clip, read = pan(2.0, frames=20), []
        for swaps in (0, 1, 2, 4):
            order = list(range(20))
            for k in range(swaps):
                i = 2 + 4 * k
                order[i], order[i + 1] = order[i + 1], order[i]
            read.append(flicker(clip[:, :, order]))
        jitter = [r.motion_jitter.item() for r in read]
        assert jitter == sorted(jitter)
        assert jitter[0] < 0.2 < jitter[-1]

    def test_a_shot_cut_is_found_and_left_out(self):
        a, b = pan(1.0), pan(1.0).flip(3) * -1
        measured = flicker(torch.cat([a, b], 2))
        assert measured.cuts == ((12,),)
        assert measured.overall.item() <= 1.0
        assert measured.series["overall"][0].isnan().nonzero().flatten().tolist() == [10, 11]

    def test_flow_and_visibility_of_a_known_shift(self):
        clip = pan(3.0)[0].transpose(0, 1)
        forth, back = dis(clip[:1], clip[1:2]), dis(clip[1:2], clip[:1])
        assert forth[0, 0].median().item() == pytest.approx(-3, abs=0.1)
        assert forth[0, 1].median().item() == pytest.approx(0, abs=0.1)
        seen = visible(forth, back)[0]
        assert seen[:, 8:-8].float().mean() > 0.9
        assert not seen[:, 0].any()  # what leaves the frame is not seen


def test_clips_of_a_batch_are_measured_one_by_one():
    clips = torch.cat([scene() + a / 127.5 * normal(1, 3, 16, 32, 32, seed=a) for a in (1, 5)])
    both = flicker(clips)
    for i in range(2):
        one = flicker(clips[i : i + 1])
        for name in COMPONENTS:
            torch.testing.assert_close(getattr(both, name)[i : i + 1], getattr(one, name), equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 3, 2, 8, 8), (3, 16, 8, 8)])
def test_fewer_than_three_frames_or_other_axes_are_an_error(shape):
    with pytest.raises(ValueError, match="3 or more frames, height, width\\), got"):
        flicker(torch.zeros(shape))


class TestMore:
    def test_the_spectrum_reads_jitter_and_is_blind_to_slow_change(self):
        frames = 512
        jitter = scene(frames, side=8) + 2 / 127.5 * normal(1, 1, frames, 1, 1)
        assert spectral(jitter).item() == pytest.approx(2 / 2**0.5, rel=0.1)
        slow = torch.sin(torch.linspace(0, 12, frames)).view(1, 1, frames, 1, 1)
        assert spectral(scene(frames, side=8) + 0.3 * slow).item() < 0.05

    def test_the_maps_show_where(self):
        clip = scene(16).clone()
        clip[..., 16:] += 4 / 127.5 * normal(1, 3, 16, 32, 16)
        maps = flicker(clip, flow=still).maps
        assert maps["overall"].shape == (1, 32, 32)
        assert maps["overall"][0, :, 16:].mean().item() == pytest.approx(4, rel=0.1)
        assert maps["overall"][0, :, :16].max().item() < 1e-2

    def test_each_component_has_its_series(self):
        series = flicker(scene() + 0.05 * normal(1, 1, 16, 1, 1), flow=still).series
        assert set(series) == {"overall", "whole", "regional", "texture", "motion_jitter"}
        assert series["whole"].mean() > 50 * series["texture"].mean()

    def test_jitter_a_second_counts_frames(self):
        measured = flicker(scene() + 0.02 * normal(1, 3, 16, 32, 32), flow=still)
        assert torch.equal(measured.per_second(24.0)["overall"], 24 * measured.overall)
        with pytest.raises(ValueError, match="above 0"):
            measured.per_second(0)

    def test_latents_are_read_along_the_motion_of_their_clips(self):
        clip = pan(4.0, frames=10, side=64)  # a latent a frame: nothing is aliased
        latents = F.avg_pool3d(clip, (1, 4, 4))
        unit = latents.std()
        calm = latent_flicker(latents, clip)
        shaken = latent_flicker(latents + 0.1 * unit * normal(*latents.shape), clip)
        assert shaken.overall.item() == pytest.approx(10, rel=0.25)
        assert calm.overall.item() < 0.4 * shaken.overall.item()
        with pytest.raises(ValueError, match="frames differ"):
            latent_flicker(latents[:, :, :5], clip)

    def test_the_loss_is_zero_for_still_clips_and_its_gradient_takes_flicker_away(self):
        nowhere = torch.zeros(1, 15, 2, 32, 32)
        assert flicker_loss(scene(), (nowhere, nowhere)).item() < 1e-12
        clip = (scene() + 0.1 * normal(1, 1, 16, 1, 1)).requires_grad_()
        before = flicker_loss(clip, (nowhere, nowhere))
        (step,) = torch.autograd.grad(before, clip)
        after = flicker_loss(clip - 0.2 * step / step.norm() * before.sqrt() * 30, (nowhere, nowhere))
        assert after < before

    @pytest.mark.parametrize("bad", [torch.zeros(1, 3, 2, 8, 8), torch.zeros(3, 8, 8), torch.zeros(0, 3, 4, 8, 8)])
    def test_clips_too_short_or_misshapen_are_told(self, bad):
        with pytest.raises(ValueError, match="3 or more frames"):
            flicker(bad)

    def test_nan_is_told(self):
        with pytest.raises(ValueError, match="NaN"):
            flicker(torch.full((1, 3, 4, 8, 8), torch.nan))
