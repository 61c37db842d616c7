"""Comparisons of sets: floors and intervals against simulation, and names that say what was measured."""

import pytest
import torch

from latentlab.metrics.features import Features
from latentlab.metrics.frechet import frechet_distance, frechet_infinity
from latentlab.metrics.kernel import kernel_distance
from latentlab.metrics.sets import compare, compare_clips, fid, fvd, kid, kvd


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
        assert (found.samples, found.dim, found.name) == ((60, 90), 4, measure)

    def test_the_floor_is_what_equal_distributions_score(self, measure, alone):
        """The mean over fresh pairs of sets is known by simulation; the reference alone gives it within 40 %."""
        x, y = normal(60, 4, seed=1) + 0.5, normal(400, 4, seed=2)
        floor = compare(x, y, measure=measure, bootstrap=0, splits=20).floor
        truth = [alone(normal(60, 4, seed=10 + i), normal(340, 4, seed=99 + i)) for i in range(40)]
        spread = torch.tensor(truth)
        assert abs(floor - spread.mean()) < (0.4 * spread.mean() if measure == "frechet" else spread.std())

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
    assert compare(normal(10, 2), normal(100, 2), bootstrap=0).floor_samples == (10, 90)
    assert compare(normal(90, 2), normal(100, 2), bootstrap=0).floor_samples == (50, 50)


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
