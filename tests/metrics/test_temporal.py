"""Flicker, on clips whose jitter and motion are known."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import latentlab
from latentlab.data.moving.dataset import MovingShapes, moving_shapes
from latentlab.data.moving.render import render
from latentlab.generator.guides import steered
from latentlab.generator.solver import solve
from latentlab.metrics import fields, flicker, flicker_loss, latent_flicker, raft, spectral
from latentlab.metrics.flow import dis, still, visible, warp
from latentlab.metrics.residual import LEAST, ROUNDING

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

    @pytest.mark.slow
    @pytest.mark.parametrize("jitter", [0.5, 4.0])
    def test_brightness_jitter_of_a_levels_reads_a(self, jitter):
        clips = scene(80, side=8) + jitter / 127.5 * normal(25, 1, 80, 1, 1)
        measured = flicker(clips, flow=still)
        assert measured.whole.square().mean().sqrt().item() == pytest.approx(jitter, rel=0.05)
        assert measured.overall.square().mean().sqrt().item() == pytest.approx(jitter, rel=0.05)
        assert measured.texture.max().item() < 1e-2

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
        clip = pan(2.0, frames=20, side=80)
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

    def test_a_shot_cut_is_found_and_left_out(self):
        a, b = pan(1.0), pan(1.0).flip(3) * -1
        measured = flicker(torch.cat([a, b], 2))
        assert measured.cuts == ((12,),)
        assert measured.overall.item() <= 1.0
        assert measured.series["overall"][0].isnan().nonzero().flatten().tolist() == [10, 11]

    @pytest.mark.parametrize("flashes", [[5], [4, 9, 14], [6, 7, 8]])
    def test_flashes_of_any_size_count(self, flashes):
        """A flash comes back, a cut does not: the larger it is, the more it reads."""
        clip, read = 0.5 * pan(2.0, frames=20, side=64), []
        for levels in (0, 5, 10, 21, 50, 100):
            flashing = clip.clone()
            flashing[:, :, flashes] += levels / 127.5
            read.append(flicker(flashing.clamp(-1, 1)))
        assert all(r.cuts == ((),) for r in read)
        for name in ("whole", "overall"):
            values = [getattr(r, name).item() for r in read]
            assert values == sorted(values)
            assert values[1] > values[0] + 0.5
            assert values[5] > 10 * values[1]

    @pytest.mark.parametrize("length", [1, 3])
    def test_a_strange_picture_for_some_frames_is_a_flash(self, length):
        clip = 0.5 * pan(1.0, frames=16, side=64)
        strange = clip.clone()
        strange[:, :, 7 : 7 + length] = -strange[:, :, 7 : 7 + length].flip(3)
        assert flicker(strange).cuts == ((),)
        assert flicker(strange).overall > 5

    def test_a_jump_of_exposure_is_no_cut(self):
        clip = 0.5 * pan(1.0, side=64)
        clip[:, :, 6:] = 0.7 * clip[:, :, 6:] + 0.3
        assert flicker(clip).cuts == ((),)
        assert flicker(clip).whole > 5

    def test_cuts_of_moving_shapes_are_found(self):
        clips, _ = moving_shapes(6, 3)
        measured = flicker(torch.cat([clip[:, :8] for clip in clips], 1)[None])
        assert measured.cuts == ((8, 16, 24, 32, 40),)
        assert measured.overall < 1

    def test_each_shot_is_measured_for_itself(self):
        a, b = 0.5 * pan(1.0, side=64), -0.5 * pan(1.0, side=64).flip(3)
        joined = flicker(torch.cat([a, b], 2))
        apart = [flicker(a), flicker(b)]
        for name in ("spectral", "difference"):
            first, second = (getattr(r, name).item() for r in apart)
            power = 2 if name == "spectral" else 1
            assert getattr(joined, name).item() ** power == pytest.approx((first**power + second**power) / 2, rel=1e-3)

    def test_cuts_may_be_given(self):
        a, b = 0.5 * pan(1.0, side=64), -0.5 * pan(1.0, side=64).flip(3)
        clip = torch.cat([a, b], 2)
        assert flicker(clip, cuts=[()]).overall > 3
        assert flicker(clip, cuts=[[12]]).overall == flicker(clip).overall
        for wrong in ([], [[0]], [[24]]):
            with pytest.raises(ValueError, match="frames from 1 to 23 for each of 1 clips"):
                flicker(clip, cuts=wrong)

    @pytest.mark.parametrize("order", ["doubled", "swapped"])
    def test_a_few_frames_out_of_order_are_seen(self, order):
        clip, read = pan(2.0, frames=40, side=64), []
        for count in (0, 1, 2, 4, 8):
            frames = list(range(40))
            for i in range(3, 3 + 4 * count, 4):
                frames[i], frames[i + 1] = (frames[i], frames[i]) if order == "doubled" else (frames[i + 1], frames[i])
            read.append(flicker(clip[:, :, frames]))
        jitter = [r.motion_jitter.item() for r in read]
        assert jitter == sorted(jitter)
        assert jitter[0] < 0.2
        assert jitter[1] > 2 * jitter[0]
        assert all(r.overall < 2 * read[0].overall for r in read)
        assert all(r.texture < 2 * read[0].texture for r in read)

    def test_the_exact_flow_of_moving_shapes_recovers_jitter(self):
        video, factors = moving_shapes(1, 7)
        drawn = render(factors.values[0])
        ways = torch.from_numpy(drawn.flow).float()[None], torch.from_numpy(drawn.back).float()[None]
        clip, jitter = 0.9 * video, normal(1, 1, 16, 1, 1, seed=4)
        alone = (jitter[:, :, 1:-1] - 0.5 * (jitter[:, :, :-2] + jitter[:, :, 2:])).square().mean().sqrt() / 1.5**0.5
        read = [flicker(clip + a / 127.5 * jitter, flow=ways).whole.item() for a in AMPLITUDES]
        assert read == sorted(read)
        assert read[0] <= 0.05
        assert read[3] == pytest.approx(2 * alone.item(), rel=0.1)

    @pytest.mark.parametrize("move", ["zoom", "turn", "sprite"])
    def test_other_motion_is_not_flicker_either(self, move):
        picture = 0.5 * pan(0.0, frames=1, side=192)[:, :, 0]
        t = torch.arange(12.0) - 5.5
        scale, angle = (1.02**t if move == "zoom" else 1 + 0 * t), torch.deg2rad(1.0 * (move == "turn") * t)
        turned = torch.stack([angle.cos(), -angle.sin(), 0 * t, angle.sin(), angle.cos(), 0 * t], 1).view(-1, 2, 3)
        grid = F.affine_grid(0.6 * scale[:, None, None] * turned, [12, 3, 128, 128], align_corners=False)
        clip = F.grid_sample(picture.expand(12, -1, -1, -1), grid, mode="bicubic", align_corners=False)
        if move == "sprite":
            for i in range(12):
                clip[i, :, 40:72, 10 + 4 * i : 42 + 4 * i] = picture[0, :, 140:172, 140:172]
        measured = flicker(clip.transpose(0, 1)[None].clamp(-1, 1))
        assert measured.whole <= 0.05
        assert measured.regional <= 0.2
        assert measured.overall <= 1.0

    def test_jitter_of_sharpness_is_texture(self):
        clip = 0.7 * pan(2.0, frames=20, side=96)
        fine = clip - F.avg_pool3d(clip, (1, 5, 5), 1, (0, 2, 2), count_include_pad=False)
        pattern = normal(1, 1, 20, 1, 1, seed=3) * fine / fine.square().mean().sqrt()
        read = [flicker(clip + a / 127.5 * pattern).texture.item() for a in AMPLITUDES]
        assert read == sorted(read)

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


def test_where_nothing_is_seen_there_is_no_number():
    def away(a, b):
        return torch.full((len(a), 2, *a.shape[2:]), 1000.0)

    measured = flicker(scene() + 0.1 * normal(1, 3, 16, 32, 32), flow=away)
    assert measured.coverage == 0
    for name in ("overall", "whole", "regional", "texture", "motion_jitter"):
        assert getattr(measured, name).isnan().all()
        assert measured.series[name].isnan().all()
    assert measured.difference > 0


class TestRaft:
    def test_it_reads_weights_in_the_published_form(self, tmp_path):
        from torchvision.models.optical_flow import raft_small

        torch.manual_seed(0)
        torch.save(raft_small().state_dict(), tmp_path / "raft_small.pth")
        flow = raft(tmp_path / "raft_small.pth")
        found = flow(0.5 * normal(2, 3, 44, 60), 0.5 * normal(2, 3, 44, 60, seed=1))
        assert found.shape == (2, 2, 44, 60)
        assert found.isfinite().all()
        assert not found.requires_grad

    def test_weights_that_are_not_there_or_others_are_told(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"raft\.pth; download raft_large_C_T_SKHT_V2.*download\.pytorch\.org"
        ):
            raft(tmp_path / "raft.pth")
        torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
        (tmp_path / "text.pth").write_text("no weights")
        for name in ("other.pth", "text.pth"):
            with pytest.raises(ValueError, match="no RAFT weights of torchvision"):
                raft(tmp_path / name)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (torch.zeros(1, 3, 2, 8, 8), "in 3 frames or more, got clips of 2"),
        (torch.zeros(3, 16, 8, 8), r"\(batch, 3, frame, height, width\), got"),
        (torch.zeros(0, 3, 4, 8, 8), r"\(batch, 3, frame, height, width\), got"),
        (torch.zeros(1, 4, 4, 8, 8), r"\(batch, 3, frame, height, width\), got"),
        (torch.full((1, 3, 4, 8, 8), torch.nan), "NaN"),
        (torch.full((1, 3, 4, 8, 8), 255.0), r"in \[-1, 1\], got 255"),
        (torch.full((1, 3, 4, 8, 8), -2.1), r"in \[-1, 1\], got -2\.1"),  # scaled to unit variance
        (np.zeros((1, 3, 4, 8, 8), np.float32), "must be a tensor, got ndarray"),
    ],
)
def test_bad_clips_are_told(bad, said):
    with pytest.raises(ValueError, match=said):
        flicker(bad)
    with pytest.raises(ValueError, match=said):
        latent_flicker(torch.zeros(1, 8, 2 if bad.shape[2] == 2 else 4, 2, 2), bad)


@pytest.mark.parametrize("size", [(2, 2), (9, 64), (15, 100), (64, 3)])
def test_small_and_thin_frames_are_measured(size):
    """OpenCV's search fails on them, or ends the process."""
    ramp = torch.linspace(-0.5, 0.5, size[0] * size[1]).view(1, 1, 1, *size)
    clip = ramp.expand(1, 3, 12, *size) + 4 / 127.5 * normal(1, 1, 12, 1, 1)
    assert fields(clip)[0].shape == (1, 11, 2, *size)
    assert flicker(clip).whole.item() == pytest.approx(flicker(clip, flow=still).whole.item(), rel=0.05)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (torch.zeros(1, 3, 1, 16, 16), "got clips of one frame"),
        (torch.full((1, 3, 4, 16, 16), 255.0), r"in \[-1, 1\], got 255"),
        (torch.zeros(3, 4, 16, 16), "batch, 3, frame"),
        ([1], "must be a tensor, got list"),
    ],
)
def test_clips_that_have_no_flow_are_told(bad, said):
    with pytest.raises(ValueError, match=said):
        fields(bad)


def test_settings_that_do_not_fit_are_told():
    clip, latents = torch.zeros(2, 3, 4, 8, 8), torch.zeros(2, 4, 4, 2, 2)
    for cuts in [(3, 1), [(1.5,), ()], [(0,), ()], [(1,)]]:
        with pytest.raises(ValueError, match="`cuts` must be frames from 1 to 3 for each of 2 clips"):
            flicker(clip, flow=still, cuts=cuts)
    for scale in (torch.ones(1), torch.tensor([1.0, torch.nan])):
        with pytest.raises(ValueError, match="`scale` must be a deviation for each of 2 clips"):
            latent_flicker(latents, clip, flow=still, scale=scale)
    with pytest.raises(ValueError, match="`blocks` must be 1 or more, got 0"):
        spectral(clip, blocks=0)
    with pytest.raises(ValueError, match="or latents of about unit variance, got 255"):
        spectral(clip + 255)
    for flow in ("dis", None):
        with pytest.raises(ValueError, match="must be two tensors, forth and back"):
            flicker(clip, flow=flow)


def test_constant_latents_do_not_flicker():
    latents, clip = torch.tensor([0.1, 7.0]).view(2, 1, 1, 1, 1).expand(2, 4, 6, 8, 8), torch.zeros(2, 3, 6, 32, 32)
    ways = torch.full((2, 5, 2, 32, 32), 0.3)
    assert latent_flicker(latents, clip, flow=(ways, -ways)).overall.max() < 0.1


def test_half_precision_clips_have_a_loss():
    clip, nowhere = scene(6) + 0.1 * normal(1, 1, 6, 1, 1), torch.zeros(1, 5, 2, 32, 32)
    whole = flicker_loss(clip, (nowhere, nowhere)).item()
    assert flicker_loss(clip.half(), (nowhere, nowhere)).item() == pytest.approx(whole, rel=0.01)


def test_flow_that_does_not_fit_is_told():
    clip, one = torch.zeros(1, 3, 4, 8, 8), torch.zeros(1, 3, 2, 8, 8)
    for ways in [(one, torch.zeros(1, 4, 2, 8, 8)), (one, torch.zeros(1, 3, 2, 4, 8)), (one,)]:
        with pytest.raises(ValueError, match=r"forth and back, of \(1, 3, 2, 8, 8\) each, got"):
            flicker(clip, flow=ways)
        with pytest.raises(ValueError, match=r"forth and back, of \(1, 3, 2, 8, 8\) each, got"):
            flicker_loss(clip, ways)
    with pytest.raises(ValueError, match="got"):
        flicker(clip, flow=lambda a, b: torch.zeros(len(a), 2, 4, 4))
    with pytest.raises(ValueError, match="needs tensors, got ndarray"):
        spectral(clip.numpy())


class TestHeadline:
    """`overall` is one that no visible part can hide from."""

    @staticmethod
    def jittering(share: float, kind: str) -> torch.Tensor:
        """Ten levels on a patch of the frame that covers the share of it: together, or each pixel for itself."""
        clip = 0.7 * scene(24, side=64)
        rows, columns = round(64 * share**0.5), round(64 * share**0.5)
        size = (1, 1, 24, 1, 1) if kind == "together" else (1, 3, 24, rows, columns)
        clip = clip.clone()
        clip[..., 6 : 6 + rows, 6 : 6 + columns] += 10 / 127.5 * normal(*size, seed=3)
        return clip

    @pytest.mark.parametrize("kind", ["together", "grain"])
    def test_it_rises_with_the_share_of_the_frame_and_is_never_under_the_parts(self, kind):
        shares = (0.1, 0.3, 0.45, 0.55, 0.7)
        read = [flicker(self.jittering(share, kind), flow=still) for share in shares]
        overall = [r.overall.item() for r in read]
        assert overall == sorted(overall)
        assert all(r.overall >= max(r.whole, r.regional) for r in read)
        for share, found in zip(shares, overall, strict=True):
            if share < 0.5 or kind == "grain":  # past a half the patch is what the frame does, its median
                assert found == pytest.approx(10 * share**0.5, rel=0.3)

    def test_a_quarter_that_blinks_is_seen(self):
        blink = torch.zeros(1, 3, 24, 64, 64)
        blink[:, :, ::2, 16:48, 16:48] = 1
        alone = 127.5 * 2 / 1.5**0.5 / 2  # a residual of one whole step over sqrt(1.5), on a quarter of the frame
        assert flicker(blink, flow=still).overall.item() == pytest.approx(alone / 2, rel=0.15)

    def test_what_blinks_is_not_lost_to_the_flow(self):
        clip = 0.7 * pan(2.0, frames=9, side=96)
        middle = clip[..., 24:72, 24:72]
        middle[:, :, ::2], middle[:, :, 1::2] = 1, -1
        measured = flicker(clip)
        assert measured.overall >= measured.regional
        share = 0.25 / measured.coverage.item()  # of what is seen
        assert measured.overall.item() == pytest.approx(255 / 1.5**0.5 * share**0.5, rel=0.2)

    def test_the_parts_add_up_where_all_flickers(self):
        clip = scene(400, side=32) + 3 / 127.5 * normal(1, 1, 400, 1, 1) + 4 / 127.5 * normal(1, 3, 400, 32, 32, seed=1)
        measured = flicker(clip, flow=still)
        assert measured.whole.item() == pytest.approx(3, rel=0.1)
        assert measured.overall.item() == pytest.approx(5, rel=0.1)

    def test_rounding_to_eight_bits_reads_the_floor(self):
        clip = normal(1, 3, 24, 64, 64) * 0.2
        rounding = (127.5 * clip).round() / 127.5 - clip
        assert flicker(rounding, flow=still).overall.item() == pytest.approx(ROUNDING, rel=0.1)  # no normal noise


class TestNotMeasured:
    def test_unrelated_frames_have_no_number_but_a_reason(self):
        measured = flicker(0.2 * normal(1, 3, 8, 64, 64), cuts=[()])
        assert measured.coverage < LEAST
        assert measured.overall.isnan().all()
        assert measured.motion_jitter.isnan().all()
        assert re.fullmatch(r"\d\.\d % of the picture can be followed .*, 10 % are needed", measured.reason[0])
        assert measured.summary() == f"flicker not measured: {measured.reason[0]}"

    def test_shots_of_two_frames_have_no_number_but_a_reason(self):
        measured = flicker(scene(6), flow=still, cuts=[(2, 4)])
        assert measured.overall.isnan().all()
        assert measured.reason == ("no three frames belong to one shot: it has 2 cuts",)

    def test_each_clip_of_a_batch_has_its_own_reason(self):
        measured = flicker(torch.cat([scene(6), scene(6)]), flow=still, cuts=[(), (2, 4)])
        assert measured.overall.isnan().tolist() == [False, True]
        assert measured.reason[0] == ""
        assert measured.summary(0) == "flicker 0.00"


class TestFastMotion:
    @pytest.mark.parametrize("share", [0.15, 0.25])
    def test_a_pan_past_a_tenth_of_the_frame_is_followed(self, share):
        measured = flicker(pan(share * 128, frames=6))
        assert measured.cuts == ((),)
        assert measured.overall < 1
        assert measured.coverage.item() == pytest.approx(1 - 2 * share, abs=0.1)

    @pytest.mark.parametrize("length", [2, 3, 4, 6])
    def test_a_fade_to_black_has_no_cut(self, length):
        clip = 0.8 * pan(1.0, frames=14, side=64)
        light = (1 - (torch.arange(14.0) - 5) / length).clamp(0, 1).view(1, 1, -1, 1, 1)
        assert flicker((clip + 1) * light - 1).cuts == ((),)

    def test_a_cut_to_black_is_one(self):
        clip = 0.8 * pan(1.0, frames=10, side=64)
        clip[:, :, 5:] = -1
        assert flicker(clip).cuts == ((5,),)

    def test_a_montage_of_shots_of_three_frames_is_cut(self):
        shots, _ = moving_shapes(6, 3)
        measured = flicker(torch.cat([shot[:, :3] for shot in shots], 1)[None])
        assert measured.cuts == ((3, 6, 9, 12, 15),)
        assert measured.overall < 1


def test_a_small_part_that_stutters_before_a_still_ground_is_seen():
    ground, part = 0.5 * pan(0.0, frames=1, side=96), -0.5 * pan(0.0, frames=1, side=96).flip(3)
    clip = ground.repeat(1, 1, 20, 1, 1)
    for t in range(20):
        clip[:, :, t, 30:54, 3 * t + 5 : 3 * t + 29] = part[:, :, 0, 30:54, 30:54]
    orders = {"own": list(range(20)), "doubled": list(range(20)), "swapped": list(range(20))}
    orders["doubled"][6], orders["doubled"][13] = 5, 12
    for i in (6, 13):
        orders["swapped"][i : i + 2] = i + 1, i
    orders["dropped"] = [t for t in range(20) if t not in (6, 13)]
    read = {how: flicker(clip[:, :, order]).motion_jitter.item() for how, order in orders.items()}
    assert min(read[how] for how in ("doubled", "swapped", "dropped")) > 1.5 * read["own"]


def test_a_bar_changes_nothing():
    clip = 0.5 * pan(2.0, frames=5, side=48)
    assert torch.equal(flicker(clip, progress=True).overall, flicker(clip).overall)


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
        a_second = measured.per_second(24.0)
        for name in COMPONENTS:
            assert name == "coverage" or torch.equal(a_second[name], 24 * getattr(measured, name))
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

    def test_a_clips_latents_are_measured_against_themselves(self):
        latents, clips = normal(2, 4, 6, 8, 8), torch.zeros(2, 3, 6, 16, 16)
        latents[1] *= 10
        together, alone = latent_flicker(latents, clips, flow=still), latent_flicker(latents[:1], clips[:1], flow=still)
        assert together.overall[0] == alone.overall
        assert alone.overall.item() == pytest.approx(100, rel=0.1)
        scaled = latent_flicker(latents, clips, flow=still, scale=torch.tensor([2.0, 2.0]))
        assert (scaled.overall / together.overall * 2).tolist() == pytest.approx(latents.flatten(1).std(1).tolist())
        ways = fields(clips, still)
        assert torch.equal(latent_flicker(latents, clips, flow=ways).overall, together.overall)

    def test_latents_are_cut_where_their_clips_are(self):
        clip = torch.cat([0.5 * pan(1.0, side=64), -0.5 * pan(1.0, side=64).flip(3)], 2)
        assert latent_flicker(F.avg_pool3d(clip, (1, 4, 4)), clip).cuts == ((12,),)

    @pytest.mark.slow
    def test_the_loss_steers_the_sampler_to_steadier_clips(self):
        generator = latentlab.load()
        noise, condition = generator.noise(1, seed=3), generator.condition("a red star")
        levels = generator.levels(6, noise.shape[1:])
        decode = generator.autoencoder.decode
        velocity = generator.velocity(condition, 1.0)
        with torch.no_grad():
            plain = solve(velocity, noise, levels, method="ddim")
            ways = fields(decode(plain).clamp(-1, 1))
            calmer = steered(velocity, lambda z: flicker_loss(decode(z), ways), weight=2e4)
            steady = solve(calmer, noise, levels, method="ddim")
            assert flicker_loss(decode(steady), ways) < 0.8 * flicker_loss(decode(plain), ways)
