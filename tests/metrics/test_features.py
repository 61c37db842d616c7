"""Feature extractors: what the published preprocessing hands to a network, and errors that name the file."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentlab.metrics import features
from latentlab.metrics.features import Features, i3d, inception, time_difference, videomae
from latentlab.metrics.frechet import Moments


class Eye(nn.Module):
    """Stands in for the published networks: sees what it is given, as mean, corner pixel and sizes."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        flags = 4.0 * float(rescale) + 2.0 * float(resize) + float(return_features)
        sizes = torch.tensor([float(s) for s in x.shape[1:]] + [flags]).expand(x.shape[0], -1)
        return torch.cat([x.float().flatten(1).mean(1, keepdim=True), x.float().flatten(1)[:, :1], sizes], 1)


@pytest.fixture(scope="module")
def eye(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "eye.pt"
    torch.jit.script(Eye()).save(path)
    return path


def clip(frames: int, height: int, width: int) -> Tensor:
    return torch.rand(2, 3, frames, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


class TestPublished:
    def test_i3d_gets_squares_in_the_project_range_and_gives_logits(self, eye):
        video = clip(10, 60, 80)
        found = i3d(eye, trusted=True)(video)
        assert found[0, 2:].tolist() == [3, 10, 224, 224, 1]  # features asked for, its own resizing off
        # The short side to 224, and the middle 224 of ceil(80 * 224 / 60) = 299 columns.
        scaled = F.interpolate(video[1].transpose(0, 1), (224, 299), mode="bilinear", align_corners=False)
        cut = scaled[..., 37 : 37 + 224]
        assert found[1, 0].item() == pytest.approx(cut.mean().item(), abs=1e-6)
        assert found[1, 1].item() == pytest.approx(cut[0, 0, 0, 0].item(), abs=1e-6)

    def test_stretching_changes_the_features_and_is_said(self, eye):
        video = clip(10, 60, 80)
        crop, stretch = i3d(eye, trusted=True), i3d(eye, trusted=True, resize="stretch")
        assert (crop(video) - stretch(video)).abs().max() > 1e-3
        squashed = F.interpolate(video[0].transpose(0, 1), (224, 224), mode="bilinear", align_corners=False)
        assert stretch(video)[0, 0].item() == pytest.approx(squashed.mean().item(), abs=1e-6)
        assert "crop" in crop.settings()["preprocessing"]
        assert "stretch" in stretch.settings()["preprocessing"]

    def test_videomae_gets_zero_to_one(self, eye):
        found = videomae(eye, trusted=True)(torch.full((1, 3, 16, 32, 32), -1.0))
        assert abs(found[0, 0]) < 1e-6
        assert found[0, 2:6].tolist() == [3, 16, 224, 224]

    def test_inception_gets_eight_bit_frames_as_they_are(self, eye):
        found = inception(eye, trusted=True)(torch.full((2, 3, 20, 32, 48), 0.2))
        assert found.shape[0] == 40
        assert found[0, 0] == 153  # round(127.5 * 1.2)
        assert found[0, 2:5].tolist() == [3, 32, 48]

    @pytest.mark.parametrize("load", [i3d, videomae, inception])
    def test_an_absent_file_is_told_with_the_one_that_is_needed(self, load, tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no {load.__name__} weights at .*weights.pt; needed is "):
            load(tmp_path / "weights.pt")

    def test_another_kind_of_file_is_told(self, tmp_path):
        torch.save({"a": torch.zeros(1)}, tmp_path / "state.pt")
        with pytest.raises(ValueError, match=r"does not load on cpu as TorchScript: .*; needed is i3d_torchscript.pt"):
            i3d(tmp_path / "state.pt", trusted=True)

    @pytest.mark.parametrize("load", [i3d, videomae, inception])
    def test_a_file_that_is_not_the_published_one_is_run_for_those_who_trust_it_alone(self, load, eye, monkeypatch):
        digest = hashlib.sha256(eye.read_bytes()).hexdigest()
        with monkeypatch.context() as patch:
            patch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was run"))
            with pytest.raises(
                ValueError, match=rf"eye.pt is not the published file .*{digest}.*trusted=True.*--trust"
            ):
                load(eye)
        monkeypatch.setitem(features.SHA256, load.__name__, digest)
        assert load(eye).name == load.__name__

    def test_frames_are_counted(self, eye):
        with pytest.raises(ValueError, match="i3d takes 10 or more frames, got 9"):
            i3d(eye, trusted=True)(clip(9, 32, 32))
        with pytest.raises(ValueError, match="videomae takes 16 frames, got 17"):
            videomae(eye, trusted=True)(clip(17, 32, 32))

    def test_an_unknown_resize_rule_is_told(self, eye):
        with pytest.raises(ValueError, match="crop or stretch, got 'squash'"):
            i3d(eye, trusted=True, resize="squash")

    def test_a_file_that_is_not_the_published_one_says_so_everywhere(self, eye, monkeypatch):
        digest = hashlib.sha256(eye.read_bytes()).hexdigest()
        found = i3d(eye, trusted=True)
        assert found.settings()["weights"] == f"unverified file sha256={digest}"
        assert (found.name, found.network) == ("i3d, unverified file", "i3d")
        monkeypatch.setitem(features.SHA256, "i3d", digest)
        found = i3d(eye, trusted=True)
        assert (found.settings()["weights"], found.name, found.network) == (digest, "i3d", "i3d")
        assert videomae(eye, trusted=True).name == "videomae, unverified file"

    def test_the_network_goes_to_the_device_and_its_features_come_back(self, eye):
        assert i3d(eye, trusted=True, device=torch.device("cpu")).by_clip(clip(10, 32, 32))[0].device.type == "cpu"
        with pytest.raises(ValueError, match="does not load on no such device as TorchScript: Invalid device"):
            i3d(eye, trusted=True, device="no such device")


class TestOwn:
    def test_batches_are_collected_one_by_one(self):
        mean = Features("mean", "none", "", lambda video: video.mean((2, 3, 4)))
        video = clip(3, 8, 8)
        torch.testing.assert_close(mean.collect(iter(video.split(1))), mean(video))

    def test_the_range_is_checked_and_no_clips_are_told(self):
        mean = Features("mean", "none", "", lambda video: video.mean((2, 3, 4)))
        with pytest.raises(ValueError, match=r"must be in \[-1, 1\], got 0 to 255"):
            mean(torch.linspace(0, 255, 192).view(1, 3, 1, 8, 8))
        with pytest.raises(ValueError, match="no clips to take mean features of"):
            mean.collect([])

    def test_rows_stay_with_their_clip_and_moments_are_those_of_all(self):
        frames = Features("frames", "none", "", lambda video: video.mean((3, 4)).transpose(1, 2).flatten(0, 1))
        video = clip(5, 8, 8)
        rows = frames.by_clip(iter([video, video[:1, :, :2]]))
        assert [len(x) for x in rows] == [5, 5, 2]
        torch.testing.assert_close(rows[1], video[1].mean((2, 3)).T)
        found, whole = frames.moments(iter(video.split(1))), Moments.of(frames.collect(video))
        assert found.count == 10
        torch.testing.assert_close(found.covariance, whole.covariance)

    def test_rows_that_belong_to_no_clip_are_an_error(self):
        bad = Features("bad", "none", "", lambda video: torch.zeros(3, 4))
        with pytest.raises(ValueError, match=r"one row a clip or one a frame, got \(3, 4\) for 2 clips"):
            bad.collect(clip(3, 8, 8))


class TestTimeDifference:
    def test_mean_way_and_walk_by_hand(self):
        level = time_difference(lambda x: x.mean((1, 2, 3))[:, None], name="", preprocessing="", fingerprint="")
        steps = torch.tensor([0.0, 0.3, 0.1, 0.2]).view(1, 1, 4, 1, 1).expand(2, 3, 4, 8, 8)
        torch.testing.assert_close(level(steps)[1], torch.tensor([0.15, 0.2, 0.6]))
        assert level(steps[:, :, :1])[0].tolist() == [0, 0, 0]

    def test_every_frame_and_the_order_count(self):
        colour = time_difference(lambda x: x.mean((2, 3)), name="", preprocessing="", fingerprint="")
        video = clip(40, 4, 4)  # more frames than go through the network at once
        whole = colour(video)
        for frame in range(40):
            other = video.clone()
            other[:, :, frame] = 0
            assert (colour(other) - whole).abs().max() > 1e-3
        assert (colour(video.flip(2)) + whole)[:, 3:6].abs().max() < 1e-6  # played backwards it goes the other way
