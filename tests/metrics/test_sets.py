"""Comparisons of sets: floors and intervals against simulation, and names that say what was measured."""

import pytest
import torch

from latentlab.metrics.features import Features
from latentlab.metrics.frechet import Moments, frechet_distance, frechet_infinity
from latentlab.metrics.kernel import kernel_distance
from latentlab.metrics.sets import compare, compare_clips, fid, fvd, fvd_infinity, kid, kvd


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def colours(name: str = "colours") -> Features:
    return Features(name, "none", "abc", lambda video: video.mean((3, 4)).flatten(1))


def clips(count: int, seed: int) -> torch.Tensor:
    return (0.2 * normal(count, 3, 2, 4, 4, seed=seed)).clamp(-1, 1)


@pytest.mark.parametrize(("measure", "alone"), [("frechet", frechet_distance), ("kernel", kernel_distance)])
class TestMeasures:
    def test_the_value_is_that_of_the_measure_alone(self, measure, alone):
        x, y = normal(60, 4, seed=1) + 0.5, normal(90, 4, seed=2)
        found = compare(x, y, measure=measure, bootstrap=3)
        assert found.value == alone(x, y)
        assert (found.samples, found.clips, found.dim, found.name) == ((60, 90), (60, 90), 4, measure)

    def test_the_floor_is_what_equal_distributions_score(self, measure, alone):
        """The mean over fresh pairs of sets is known by simulation; the reference alone gives it within 40 %."""
        x, y = normal(60, 4, seed=1) + 0.5, normal(400, 4, seed=2)
        floor = compare(x, y, measure=measure, bootstrap=0, splits=20).floor
        truth = [alone(normal(60, 4, seed=10 + i), normal(340, 4, seed=99 + i)) for i in range(40)]
        spread = torch.tensor(truth)
        assert abs(floor - spread.mean()) < (0.4 * spread.mean() if measure == "frechet" else spread.std())

    def test_the_floor_is_that_of_sets_as_large_as_these(self, measure, alone):
        """The parts of the reference are half as large; what they score, twice as much, is not the floor."""
        found = [compare(normal(80, 3, seed=i), normal(80, 3, seed=50 + i), measure=measure, bootstrap=0, splits=10)
                 for i in range(12)]  # fmt: skip
        truth = torch.tensor([alone(normal(80, 3, seed=200 + i), normal(80, 3, seed=300 + i)) for i in range(60)])
        floor, parts = (torch.tensor([getattr(c, name) for c in found]).mean() for name in ("floor", "parts"))
        assert found[0].part_clips == (40, 40)
        if measure == "frechet":
            assert floor == pytest.approx(truth.mean(), rel=0.25)
            assert parts > 1.6 * truth.mean()
        else:
            assert abs(floor - truth.mean()) < truth.std()

    def test_the_interval_holds_the_truth(self, measure, alone):
        """Of distances of fresh sets, it holds those within about two standard deviations."""
        found = compare(normal(80, 3, seed=1) + 1, normal(80, 3, seed=2), measure=measure, splits=0)
        fresh = torch.tensor([alone(normal(80, 3, seed=10 + i) + 1, normal(80, 3, seed=99 + i)) for i in range(60)])
        low, high = found.interval
        assert low < found.value < high
        assert 2 < (high - low) / fresh.std() < 8

    def test_the_same_seed_is_the_same_result(self, measure, alone):
        x, y = normal(30, 3, seed=1), normal(30, 3, seed=2)
        first = compare(x, y, measure=measure, bootstrap=5, seed=1)
        assert first == compare(x, y, measure=measure, bootstrap=5, seed=1)
        assert first.interval != compare(x, y, measure=measure, bootstrap=5, seed=2).interval


def test_few_samples_warn_once_and_the_result_says_so():
    with pytest.warns(UserWarning, match="5 samples for 8 dimensions") as told:
        found = compare(normal(5, 8), normal(40, 8, seed=1), bootstrap=5)
    assert len(told) == 1
    assert "mostly bias" in found.warning


@pytest.mark.filterwarnings("error")
def test_the_kernel_distance_does_not_warn():
    assert compare(normal(5, 8), normal(40, 8, seed=1), measure="kernel", bootstrap=5).warning == ""


@pytest.mark.filterwarnings("ignore:.*mostly bias")
def test_a_reference_too_small_to_split_has_no_floor():
    found = compare(normal(5, 2), normal(3, 2, seed=1), bootstrap=0)
    assert found.floor is None
    assert found.interval is None
    assert "floor" not in str(found)


def test_the_floor_uses_parts_as_large_as_the_sets_where_it_can():
    assert compare(normal(10, 2), normal(100, 2), bootstrap=0).part_clips == (10, 90)
    found = compare(normal(90, 2), normal(100, 2), bootstrap=0)
    assert found.part_clips == (50, 50)
    assert found.parts / 2 < found.floor <= found.parts
    assert f"floor {found.floor:.4g} ({found.parts:.4g} at n 50 and 50), n 90 and 100" in str(found)


@pytest.mark.filterwarnings("ignore:.*mostly bias")
def test_fewer_samples_than_dimensions_do_not_scale_as_if_there_were_enough():
    """There the distance falls by far less than 1 / n: halving the parts' floor would promise too much."""
    found = compare(normal(40, 200), normal(40, 200, seed=1), bootstrap=0)
    truth = frechet_distance(normal(40, 200, seed=2), normal(40, 200, seed=3))
    assert found.floor == pytest.approx(truth, rel=0.15)


def framed(count: int, seed: int, frames: int = 16) -> list[torch.Tensor]:
    """Clips whose frames differ little from each other."""
    clips = normal(count, 1, 3, seed=seed) + 0.05 * normal(count, frames, 3, seed=seed + 1)
    return list(clips)


class TestFrames:
    def test_the_floor_splits_clips_and_not_frames(self):
        """Of one distribution, value and floor agree; split by frames, the floor would lie far below."""
        found = [compare(framed(40, 10 * i), framed(40, 10 * i + 5), bootstrap=0, splits=10) for i in range(10)]
        value, floor = (torch.tensor([getattr(c, name) for c in found]).mean() for name in ("value", "floor"))
        assert 0.5 < floor / value < 2
        apart = compare(torch.cat(framed(40, 0)), torch.cat(framed(40, 5)), bootstrap=0, splits=10)
        assert apart.floor < value / 8
        assert (found[0].samples, found[0].clips) == ((640, 640), (40, 40))
        assert "n 640 and 640 of 40 and 40 clips" in str(found[0])

    def test_the_interval_is_that_of_clips(self):
        x, y = framed(40, 1), [frame + 1 for frame in framed(40, 3)]
        by_clip, by_frame = (compare(*sides, splits=0).interval for sides in ((x, y), (torch.cat(x), torch.cat(y))))
        assert by_clip[1] - by_clip[0] > 2 * (by_frame[1] - by_frame[0])

    def test_fewer_clips_than_dimensions_are_told_however_many_frames(self):
        with pytest.warns(UserWarning, match=r"3 clips \(48 frames, alike within a clip\) for 3 dimensions"):
            compare(framed(3, 1), framed(40, 3), bootstrap=0)

    @pytest.mark.filterwarnings("error")
    def test_clips_may_have_different_numbers_of_frames(self):
        x = [frames[: 3 + i % 5] for i, frames in enumerate(framed(40, 1))]
        found = compare(x, framed(40, 3), bootstrap=3)
        assert found.value == pytest.approx(frechet_distance(torch.cat(x), torch.cat(framed(40, 3))))
        assert found.samples[0] == sum(map(len, x))

    def test_clips_of_no_common_width_are_an_error(self):
        with pytest.raises(ValueError, match=r"of one width, got \[\(2, 3\), \(2, 4\)\]"):
            compare([normal(2, 3), normal(2, 4)], normal(5, 3))


class TestMoments:
    def test_the_value_n_and_why_there_is_no_interval(self):
        x, y = normal(60, 4, seed=1) + 0.5, normal(90, 4, seed=2)
        for sides in ((Moments.of(x), y), (x, Moments.of(y)), (Moments.of(x[:9]) + Moments.of(x[9:]), Moments.of(y))):
            found = compare(*sides, name="eye")
            assert found.value == pytest.approx(compare(x, y, bootstrap=0).value, rel=1e-9)
            assert (found.name, found.samples, found.interval, found.floor) == ("frechet(eye)", (60, 90), None, None)
            assert found.warning == "moments keep no samples: no interval, no floor"

    def test_too_few_are_told_and_kernels_need_samples(self):
        x, y = Moments.of(normal(5, 8)), normal(40, 8, seed=1)
        with pytest.warns(UserWarning, match="5 samples for 8 dimensions"):
            assert "mostly bias" in compare(x, y).warning
        with pytest.raises(ValueError, match="kernel distance needs the features themselves, got moments"):
            compare(x, y, measure="kernel")


@pytest.mark.parametrize("options", [{"bootstrap": -3}, {"splits": -1}])
def test_negative_counts_are_told(options):
    with pytest.raises(ValueError, match="must be 0 or more, got"):
        compare(normal(9, 2), normal(9, 2), **options)


def test_enough_samples_are_extrapolated():
    x, y = normal(60, 4, seed=1) + 0.5, normal(90, 4, seed=2)
    assert compare(x, y, bootstrap=0, seed=3).infinity == frechet_infinity(x, y, seed=3)
    assert compare(x[:9], y, bootstrap=0).infinity is None
    assert compare(x, y, bootstrap=0, measure="kernel").infinity is None


def test_an_unknown_measure_is_told():
    with pytest.raises(ValueError, match="one of frechet, kernel, got 'fvd'"):
        compare(normal(5, 2), normal(5, 2), measure="fvd")


class TestClips:
    def test_a_result_carries_all_that_made_it(self):
        a, b = clips(30, 1), clips(40, 2)
        found = compare_clips(iter(a.split(7)), b, colours(), bootstrap=4, seed=5)
        assert found.name == "frechet(colours)"
        assert found.value == pytest.approx(frechet_distance(a.mean((3, 4)).flatten(1), b.mean((3, 4)).flatten(1)))
        settings = {"features": "colours", "preprocessing": "none", "weights": "abc", "bootstrap": 4, "seed": 5}
        assert found.settings.items() >= settings.items()
        assert found.settings["frames x height x width"] == ["2 x 4 x 4"]
        assert str(found).startswith("frechet(colours) ")

    @pytest.mark.parametrize("distance", [fid, kid, fvd, kvd])
    def test_substitutes_do_not_get_a_published_name(self, distance):
        with pytest.raises(ValueError, match=r"is defined on .* features, got 'colours'; .* frechet\(colours\)"):
            distance(clips(9, 1), clips(9, 2), colours())

    @pytest.mark.parametrize(
        ("distance", "features", "measure"),
        [(fid, "inception", "frechet"), (kid, "inception", "kernel"), (fvd, "i3d", "frechet"), (kvd, "i3d", "kernel")],
    )
    def test_published_names_are_the_measure_on_their_features(self, distance, features, measure):
        found = distance(clips(9, 1), clips(9, 2), colours(features), bootstrap=0)
        plain = compare_clips(clips(9, 1), clips(9, 2), colours(features), measure=measure, bootstrap=0)
        assert found == plain
        assert found.name == f"{measure}({features})"

    def test_frames_of_a_clip_stay_together(self):
        frames = Features("inception", "none", "", lambda video: video.mean((3, 4)).transpose(1, 2).flatten(0, 1))
        found = fid(clips(9, 1), clips(8, 2), frames, bootstrap=0)
        assert (found.samples, found.clips) == ((18, 16), (9, 8))

    def test_fvd_without_bias_has_its_name(self):
        a, b, i3d = clips(60, 1), clips(70, 2), colours("i3d")
        assert fvd_infinity(a, iter(b.split(16)), i3d, seed=3) == fvd(a, b, i3d, bootstrap=0, seed=3).infinity
        with pytest.raises(ValueError, match="FVD is defined on"):
            fvd_infinity(a, b, colours())

    def test_an_unverified_file_is_in_the_name(self):
        found = fvd(clips(9, 1), clips(9, 2), colours("i3d, unverified file"), bootstrap=0)
        assert found.name == "frechet(i3d, unverified file)"


def test_what_is_no_features_is_told():
    with pytest.raises(ValueError, match=r"must be a `Features`, such as .*, got 'reader-td'"):
        compare_clips(clips(4, 0), clips(4, 1), "reader-td")
    with pytest.raises(ValueError, match=r"must be a `Features`, such as .*, got 'i3d'"):
        fvd(clips(4, 0), clips(4, 1), "i3d")
    with pytest.raises(ValueError, match="a tensor, or a list of one a clip, got ndarray"):
        compare(normal(8, 2).numpy(), normal(8, 2))
    with pytest.raises(ValueError, match=r"of one width, got \[\(2,\)\] among 8"):
        compare(list(normal(8, 2)), normal(8, 2))
