"""Measures of pairs of clips: decibels by hand, the lpips package and torchmetrics in the same process."""

import hashlib
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from latentlab.metrics import perceptual
from latentlab.metrics.paths import path_smoothness, ppl
from latentlab.metrics.perceptual import (
    background_preservation,
    clip_direction,
    clip_score,
    identity,
    lpips,
    psnr,
    ssim,
)
from latentlab.metrics.segments import dice, segmentation_consistency


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class TestPsnr:
    @pytest.mark.parametrize(("error", "decibels"), [(2.0, 0.0), (0.2, 20.0), (2 / 255, 20 * math.log10(255))])
    def test_a_constant_error_has_a_ratio_by_hand(self, error, decibels):
        reference = torch.full((2, 3, 4, 8, 8), -1.0)
        torch.testing.assert_close(psnr(reference + error, reference), torch.full((2,), decibels), atol=1e-3, rtol=0)

    def test_equal_clips_are_infinitely_good_and_each_clip_has_its_own(self):
        reference = torch.zeros(2, 3, 1, 4, 4)
        other = reference.clone()
        other[1] += 0.2
        first, second = psnr(other, reference).tolist()
        assert first == math.inf
        assert second == pytest.approx(20)

    def test_it_is_symmetric(self):
        a, b = noise(2, 1, 3, 2, 4, 4)
        assert torch.equal(psnr(a, b), psnr(b, a))


PAIRS = {
    "psnr": psnr,
    "ssim": ssim,
    "lpips": lpips,
    "identity": lambda a, b: identity(a, b, lambda x: x.flatten(1)),
    "background": lambda a, b: background_preservation(a, b, torch.zeros(len(a), *a.shape[2:], dtype=torch.bool)),
}


@pytest.mark.parametrize("measure", PAIRS.values(), ids=PAIRS)
class TestInput:
    def test_other_shapes_are_an_error_and_not_broadcast(self, measure):
        with pytest.raises(ValueError, match=r"different shapes: \(1, 3, 2, 16, 16\) and \(1, 3, 1, 16, 16\)"):
            measure(torch.zeros(1, 3, 2, 16, 16), torch.zeros(1, 3, 1, 16, 16))

    def test_another_range_is_an_error_that_says_the_way_out(self, measure):
        good = torch.zeros(1, 3, 1, 16, 16)
        with pytest.raises(ValueError, match=r"must be in \[-1, 1\], got 0 to 255; `latentlab.video.from_uint8`"):
            measure(torch.linspace(0, 255, good.numel()).view_as(good), good)
        with pytest.raises(ValueError, match="`reference` must be finite, got 768 NaN"):
            measure(good, good * math.nan)

    def test_other_axes_or_kinds_are_an_error(self, measure):
        with pytest.raises(ValueError, match=r"floating point \(batch, 3, frame, height, width\), got torch.float32"):
            measure(torch.zeros(3, 2, 16, 16), torch.zeros(3, 2, 16, 16))
        eight_bit = torch.zeros(1, 3, 1, 16, 16, dtype=torch.uint8)
        with pytest.raises(ValueError, match=r"floating point .* got torch.uint8"):
            measure(eight_bit, eight_bit)


class TestSsim:
    def test_it_is_that_of_torchmetrics(self):
        functional = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
        a = noise(2, 3, 4, 20, 33)
        b = (a + 0.4 * noise(2, 3, 4, 20, 33, seed=1)).clamp(-1, 1)
        frames = [rearrange(clip, "b c f h w -> (b f) c h w") for clip in (a, b)]
        theirs = functional.structural_similarity_index_measure(*frames, data_range=2.0, reduction="none")
        torch.testing.assert_close(ssim(a, b), theirs.view(2, 4).mean(1), atol=1e-5, rtol=0)

    def test_flat_pictures_leave_only_the_light(self):
        """(2 m n + c1) / (m^2 + n^2 + c1), eq. 6."""
        flat = torch.ones(1, 3, 1, 11, 11)
        expected = (2 * 0.5 * 0.2 + 0.0004) / (0.25 + 0.04 + 0.0004)
        assert ssim(0.5 * flat, 0.2 * flat).item() == pytest.approx(expected, rel=1e-6)
        assert ssim(flat, flat).item() == 1

    def test_it_works_on_one_plane_at_a_time(self, monkeypatch):
        """So that a long clip costs the memory of a frame: the copies of a clip in double would be twenty of it."""
        seen, similarity = [], perceptual._similarity
        monkeypatch.setattr(perceptual, "_similarity", lambda x, y: seen.append(x.shape) or similarity(x, y))
        a, b = noise(2, 2, 3, 4, 20, 33)
        found = ssim(a, b)
        assert seen == [(2, 20, 33)] * 12
        torch.testing.assert_close(found[1:], ssim(a[1:], b[1:]))

    def test_frames_too_small_to_reflect_are_an_error(self):
        with pytest.raises(ValueError, match="got frames of 5 x 16"):
            ssim(torch.zeros(1, 3, 1, 5, 16), torch.zeros(1, 3, 1, 5, 16))


class TestBackground:
    def test_what_happens_under_the_mask_does_not_count(self):
        clip, mask = torch.zeros(2, 3, 2, 4, 4), torch.zeros(2, 2, 4, 4, dtype=torch.bool)
        mask[:, :, :, :3] = True
        other = clip + 0.2
        other[..., :3] = 1.0
        torch.testing.assert_close(background_preservation(other, clip, mask), torch.tensor([20.0, 20.0]))
        assert background_preservation(clip, clip, mask).tolist() == [math.inf] * 2

    def test_without_a_mask_it_is_the_psnr(self):
        a, b = noise(2, 1, 3, 2, 4, 4)
        nothing = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
        torch.testing.assert_close(background_preservation(a, b, nothing), psnr(a, b))

    def test_bad_masks_are_told(self):
        clip = torch.zeros(1, 3, 2, 4, 4)
        with pytest.raises(ValueError, match="covers a whole clip"):
            background_preservation(clip, clip, torch.ones(1, 2, 4, 4, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"bool of shape \(1, 2, 4, 4\), got torch.float32 of shape \(1, 4, 4\)"):
            background_preservation(clip, clip, torch.zeros(1, 4, 4))


class TestDice:
    def test_overlaps_by_hand(self):
        a = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]).bool()
        b = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]).bool()
        torch.testing.assert_close(dice(a, b), torch.tensor([2 / 3, 1.0, 0.0, 1.0]))

    def test_numbered_segments_are_averaged_background_left_out(self):
        a, b = torch.tensor([[1, 1, 2, 0, 0]]), torch.tensor([[1, 0, 2, 3, 0]])
        assert dice(a, b).item() == pytest.approx((2 / 3 + 1 + 0) / 3)

    @pytest.mark.parametrize("b", [torch.zeros(1, 3), torch.zeros(1, 4, dtype=torch.int64)])
    def test_scores_or_other_shapes_are_an_error(self, b):
        with pytest.raises(ValueError, match="bool or whole numbers of one shape, got"):
            dice(torch.zeros(1, 3, dtype=b.dtype), b) if b.shape == (1, 4) else dice(b, b)


class TestSegmentationConsistency:
    def moving(self) -> torch.Tensor:
        """Two numbered squares that go one pixel right a frame."""
        segments = torch.zeros(1, 4, 12, 16, dtype=torch.int64)
        for t in range(4):
            segments[0, t, 2:6, 2 + t : 6 + t] = 1
            segments[0, t, 7:11, 3 + t : 7 + t] = 2
        return segments

    def test_motion_counts_without_the_flow_and_not_with_it(self):
        segments = self.moving()
        right = torch.zeros(1, 3, 2, 12, 16)
        right[:, :, 0] = 1
        assert segmentation_consistency(segments).item() == pytest.approx(0.75)  # three columns of four overlap
        assert segmentation_consistency(segments, (right, -right)).item() == 1
        assert segmentation_consistency(segments == 1, (right, -right)).item() == 1

    def test_a_segment_that_flickers_is_seen(self):
        segments = self.moving()[:, :1].repeat(1, 4, 1, 1)
        assert segmentation_consistency(segments).item() == 1
        segments[0, 2][segments[0, 2] == 2] = 0
        assert segmentation_consistency(segments).item() == pytest.approx((1 + 0.5 + 0.5) / 3)

    @pytest.mark.parametrize("bad", [torch.ones(1, 1, 4, 4).bool(), torch.ones(1, 2, 4, 4), torch.ones(2, 4, 4).int()])
    def test_bad_segments_are_told(self, bad):
        with pytest.raises(ValueError, match="2 or more frames, height, width\\), got torch"):
            segmentation_consistency(bad)


class TestLpips:
    def test_an_absent_network_is_told_with_its_file_source_and_place(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        clip = torch.zeros(1, 3, 1, 32, 32)
        with pytest.raises(FileNotFoundError) as told:
            lpips(clip, clip)
        for part in (
            "alexnet-owt-7be5be79.pth",
            str(tmp_path / "checkpoints"),
            "https://download.pytorch.org",
            "weights=",
            "download=True",
        ):
            assert part in str(told.value)

    def test_the_network_is_fetched_once_if_asked_for(self, tmp_path, monkeypatch):
        package = pytest.importorskip("lpips", reason="the lpips package is not installed")
        trunk = package.LPIPS(net="squeeze", pnet_rand=True, verbose=False).net
        torch.save({f"features.{n.split('.', 1)[1]}": p.data for n, p in trunk.named_parameters()}, tmp_path / "trunk")
        name = f"squeeze-{hashlib.sha256((tmp_path / 'trunk').read_bytes()).hexdigest()[:8]}.pth"
        server, home = tmp_path / "server", tmp_path / "home"
        server.mkdir()
        (tmp_path / "trunk").rename(server / name)
        monkeypatch.setitem(perceptual.BACKBONES, "squeeze", name)
        monkeypatch.setattr(perceptual, "SERVER", server.as_uri())
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(home))
        clip = noise(3, 1, 3, 1, 32, 32)[0]
        perceptual._lpips.cache_clear()
        assert lpips(clip, clip, net="squeeze", download=True) == 0
        (server / name).unlink()
        perceptual._lpips.cache_clear()
        assert lpips(clip, clip, net="squeeze") == 0  # it is there now
        perceptual._lpips.cache_clear()

    def test_a_network_that_cannot_be_fetched_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(perceptual, "SERVER", (tmp_path / "nowhere").as_uri())
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
        clip = torch.zeros(1, 3, 1, 32, 32)
        with pytest.raises(FileNotFoundError, match=r"nowhere/vgg16-397923af.pth cannot be fetched \(.*by hand"):
            lpips(clip, clip, net="vgg", download=True)
        assert not list(tmp_path.rglob("*.pth"))

    def test_another_file_under_the_name_is_refused(self, tmp_path):
        path = tmp_path / "vgg16-397923af.pth"
        torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
        clip = torch.zeros(1, 3, 1, 32, 32)
        with pytest.raises(
            ValueError, match=r"is not vgg16-397923af.pth: its SHA-256 starts with .* expected 397923af"
        ):
            lpips(clip, clip, net="vgg", weights=path)

    def test_an_unknown_net_is_told(self):
        clip = torch.zeros(1, 3, 1, 32, 32)
        with pytest.raises(ValueError, match="one of alex, squeeze, vgg, got 'resnet'"):
            lpips(clip, clip, net="resnet")

    @pytest.mark.parametrize("net", ["alex", "squeeze"])
    def test_on_the_same_network_it_is_the_lpips_package(self, net, tmp_path, monkeypatch):
        package = pytest.importorskip("lpips", reason="the lpips package is not installed")
        torch.manual_seed(0)
        theirs = package.LPIPS(net=net, pnet_rand=True, verbose=False)
        # A file in torchvision's layout, of the trunk they drew.
        tensors = {f"features.{n.split('.', 1)[1]}": p.data for n, p in theirs.net.named_parameters()}
        torch.save(tensors, tmp_path / "trunk.pth")
        digest = hashlib.sha256((tmp_path / "trunk.pth").read_bytes()).hexdigest()
        monkeypatch.setitem(perceptual.BACKBONES, net, f"{net}-{digest[:8]}.pth")
        a, b = noise(2, 2, 3, 20, 64, 64)  # forty frames, more than one chunk
        ours = lpips(a, b, net=net, weights=tmp_path / "trunk.pth")
        frames = [rearrange(clip, "b c f h w -> (b f) c h w") for clip in (a, b)]
        torch.testing.assert_close(ours, theirs(*frames).view(2, 20).mean(1), atol=1e-6, rtol=1e-5)
        assert lpips(a, a, net=net, weights=tmp_path / "trunk.pth").abs().max() == 0


def colour(frames: torch.Tensor) -> torch.Tensor:
    """Features of a picture: its mean red, green and blue."""
    return frames.mean((2, 3))


WORDS = {"red": [1.0, 0, 0], "green": [0, 1.0, 0], "dark": [-1.0, -1, -1], "yellow": [3.0, 3.0, 0]}


def words(captions) -> torch.Tensor:
    return torch.tensor([WORDS[c] for c in captions])


def painted(*rgb: float) -> torch.Tensor:
    return torch.tensor([float(x) for x in rgb]).view(1, 3, 1, 1, 1).expand(1, 3, 40, 4, 4)


class TestFeatures:
    def test_identity_is_a_cosine_of_features_by_hand(self):
        assert identity(painted(1, 0, 0), painted(0.5, 0.5, 0), colour).item() == pytest.approx(math.sqrt(0.5))
        assert identity(painted(1, 0, 0), painted(0.2, 0, 0), colour).item() == pytest.approx(1)

    def test_clip_score_is_the_cosine_as_it_is(self):
        clips = torch.cat([painted(1, 0, 0), painted(1, 0, 0), painted(0.5, 0.5, 0.5)])
        found = clip_score(clips, ["red", "yellow", "dark"], colour, words)
        torch.testing.assert_close(found, torch.tensor([1.0, math.sqrt(0.5), -1.0]))

    def test_each_frame_counts(self):
        clip = torch.cat([painted(1, 0, 0), painted(0, 1, 0)], 2)
        assert clip_score(clip, ["red"], colour, words).item() == pytest.approx(0.5)

    def test_clip_direction_follows_the_words(self):
        red, green = painted(0.3, 0, 0), painted(0, 1, 0)
        there = (red, green, ["red"], ["green"])
        assert clip_direction(*there, colour, words).item() == pytest.approx(1)
        assert clip_direction(green, red, ["red"], ["green"], colour, words).item() == pytest.approx(-1)
        assert clip_direction(red, red, ["red"], ["green"], colour, words).item() == 0

    def test_captions_are_checked(self):
        clip = painted(1, 0, 0)
        with pytest.raises(ValueError, match="list of 1 captions, one a clip, got 'red'"):
            clip_score(clip, "red", colour, words)
        with pytest.raises(ValueError, match="list of 1 captions"):
            clip_score(clip, ["red", "green"], colour, words)
        with pytest.raises(ValueError, match="must differ for a direction, got 'red' twice"):
            clip_direction(clip, clip, ["red"], ["red"], colour, words)


class TestPathLength:
    def test_a_path_of_known_speed(self):
        """On x(t) = t^2 the squared distance of neighbours, over the squared step, is (2 t + step)^2."""

        def path(t):
            return (t**2).view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)

        def squared(a, b):
            return F.mse_loss(a.double(), b.double(), reduction="none").flatten(1).mean(1)

        t = torch.tensor([0.0, 0.25, 0.9], dtype=torch.float64)
        np.testing.assert_allclose(ppl(path, squared, t, step=0.01), (2 * t + 0.01) ** 2, rtol=1e-6)

    @pytest.mark.parametrize(("t", "step"), [([0.5], 0.0), ([-0.1], 0.01), ([1.0], 0.01), ([math.nan], 0.01)])
    def test_positions_outside_are_an_error(self, t, step):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            ppl(lambda t: t, lambda a, b: a, torch.tensor(t), step=step)


class TestPathSmoothness:
    def squared(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().flatten(1).mean(1)

    def test_even_paths_are_0_whatever_their_length_and_steps(self):
        t = torch.tensor([0.0, 0.1, 0.3, 0.6, 1.0])
        for length in (0.01, 1.0):
            path = lambda t, length=length: (length * t).view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)  # noqa: E731
            assert path_smoothness(path, self.squared, t) == pytest.approx(0, abs=1e-3)

    def test_one_jump_in_n_steps_by_hand(self):
        jump = lambda t: (t > 0.5).float().view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)  # noqa: E731
        assert path_smoothness(jump, self.squared, torch.linspace(0, 1, 11)) == pytest.approx(3)
        assert path_smoothness(lambda t: jump(0 * t), self.squared, torch.linspace(0, 1, 11)) == 0

    @pytest.mark.parametrize("t", [[0.0, 1.0], [0.0, 0.5, 0.5], [0.0, 0.5, 1.1], [math.nan, 0.5, 1.0]])
    def test_bad_positions_are_told(self, t):
        with pytest.raises(ValueError, match=r"three or more and increase within \[0, 1\]"):
            path_smoothness(lambda t: t, self.squared, torch.tensor(t))


class TestOther:
    def test_features_in_half_precision_are_read_in_single(self):
        clip = noise(1, 3, 2, 8, 8)
        options = (["red"], ["green"], lambda frames: colour(frames).half(), words)
        assert clip_direction(clip.half(), clip.half(), *options).item() == 0
        assert identity(clip.half(), clip.half(), options[2]).dtype == torch.float32

    def test_features_that_are_no_vectors_of_one_model_are_told(self):
        clip = noise(1, 3, 2, 8, 8)
        with pytest.raises(ValueError, match=r"of one width, got .*different models"):
            clip_score(clip, ["red"], lambda frames: frames.flatten(1), words)
        with pytest.raises(ValueError, match="6 NaN or infinite values of 6"):
            identity(clip, clip, lambda frames: torch.nan * frames.mean((2, 3)))

    def test_segments_that_do_not_fit_are_told(self):
        mask = torch.ones(1, 4, 8, 8, dtype=torch.bool)
        with pytest.raises(ValueError, match="forth and back"):
            segmentation_consistency(mask, (torch.zeros(1, 3, 2, 4, 4),) * 2)
        with pytest.raises(ValueError, match="must be tensors, got ndarray"):
            dice(mask.numpy(), mask)
        with pytest.raises(ValueError, match="of one shape, got"):
            dice(mask[:0], mask[:0])

    def test_positions_may_be_a_list(self):
        def line(t):
            return t.view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)

        def squared(a, b):
            return (a - b).square().flatten(1).mean(1)

        assert ppl(line, squared, [0.0, 0.5]).tolist() == pytest.approx([1, 1], rel=1e-3)
        assert path_smoothness(line, squared, [0.0, 0.5, 1.0]) < 1e-6
        with pytest.raises(ValueError, match="three or more"):
            path_smoothness(line, squared, torch.tensor(0.0))
