"""Combinations of latents, judged by an exact generator: a mixture whose flow from noise to data is known."""

import pytest
import torch

from latentlab.interpolate import advise, combine, lerp, nlerp, slerp
from latentlab.study.mixture import GaussianMixture

DIM = 256


@pytest.fixture(scope="module")
def mixture() -> GaussianMixture:
    means = torch.randn(16, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return GaussianMixture(means, torch.full((16,), 0.25, dtype=torch.float64), torch.full((16,), 1 / 16))


def seeds(count: int, *, correlation: float = 0.0, batch: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shared, own = (torch.randn(n, batch, DIM, dtype=torch.float64, generator=generator) for n in (1, count))
    return correlation**0.5 * shared + (1 - correlation) ** 0.5 * own


def spread(mixture: GaussianMixture, noise: torch.Tensor) -> torch.Tensor:
    """Distance of each decoded point from its mode, 1 for data."""
    return mixture.spread(mixture.decode(noise))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_combinations_of_independent_seeds_are_data(mixture, count):
    assert 0.97 < spread(mixture, combine(seeds(count), torch.ones(count))).mean() < 1.03
    assert spread(mixture, seeds(count).mean(0)).mean() < 0.75  # the plain mean is not


@pytest.mark.parametrize("path", [slerp, nlerp])
def test_midpoints_of_two_seeds_are_data(mixture, path):
    a, b = seeds(2)
    assert 0.97 < spread(mixture, path(a, b, 0.5)[0]).mean() < 1.03
    assert 0.65 < spread(mixture, lerp(a, b, 0.5)[0]).mean() < 0.77


def test_correlated_seeds_need_the_measured_correlation(mixture):
    points = seeds(3, correlation=0.6)
    distance = spread(mixture, combine(points, [0.5, 0.3, 0.2]))
    assert 0.97 < distance.mean() < 1.03
    assert (distance > 1.5).double().mean() <= 0.01  # none between the modes
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    independent = torch.einsum("i,ibd->bd", weights, points) / weights.norm()
    assert spread(mixture, independent).mean() > 1.1


def test_combine_is_nlerp_of_two_and_returns_a_point_chosen_alone():
    points = seeds(2)
    a, b = (p / p.norm(dim=1, keepdim=True) for p in points)
    torch.testing.assert_close(combine(torch.stack([a, b]), [3, 1]), nlerp(a, b, 0.25)[0])
    torch.testing.assert_close(combine(points, [0, 2]), points[1])


def test_each_frame_may_have_its_own_correlations():
    points = torch.randn(2, 3, 4, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    whole = combine(points, [1, 1], axis="frame")
    for frame in range(5):
        torch.testing.assert_close(whole[:, :, frame], combine(points[:, :, :, frame], [1, 1]))


@pytest.mark.parametrize(
    ("points", "weights", "match"),
    [
        (torch.ones(2, 3), [1, 1], "axes"),
        ([torch.ones(1, 3)] * 2, [1, 1], "one tensor, .* got list"),
        (torch.ones(2, 1, 3), [1], "2 points need as many"),
        (torch.ones(2, 1, 3), [0, 0], "not all zero"),
        (torch.ones(2, 1, 3), [1, float("nan")], "finite weights"),
        (torch.ones(2, 1, 3), [1, -1], "cancel out"),
        (torch.ones(2, 1, 3), None, "weights are numbers, one for each point, got None"),
        (torch.full((2, 1, 3), torch.nan), [1, 1], "points must be finite, got 6 NaN"),
    ],
)
def test_bad_combinations_are_refused(points, weights, match):
    with pytest.raises(ValueError, match=match):
        combine(points, weights)


class TestAdvice:
    def test_gaussian_noise_wants_slerp(self):
        advice = advise(torch.randn(32, 4, 16, 8, 8, generator=torch.Generator().manual_seed(0)))
        assert advice.use == "slerp"
        assert advice.norm == pytest.approx(1, abs=0.01)
        assert advice.norm_spread == pytest.approx(1, abs=0.35)
        assert advice.shrink == pytest.approx(0.5**0.5, abs=0.01)
        assert advice.angle == pytest.approx(90, abs=1)

    @pytest.mark.parametrize("dim", [2, 10, 16, 32, 256])
    def test_gaussian_points_of_any_dimension_have_a_shell(self, dim):
        """In few dimensions norms vary by a fifth of their mean and more, and the chi law says so."""
        draws = [advise(torch.randn(32, dim, generator=torch.Generator().manual_seed(i))) for i in range(40)]
        assert sum(advice.use == "slerp" for advice in draws) >= 38  # a band of 99 in 100
        assert sum(advice.norm_spread for advice in draws) / 40 == pytest.approx(1, abs=0.05)

    @pytest.mark.parametrize("scale", [1e-3, 40.0])
    def test_the_shell_may_have_any_radius(self, scale):
        advice = advise(scale * torch.randn(32, 64, generator=torch.Generator().manual_seed(0)))
        assert advice.use == "slerp"
        assert advice.norm == pytest.approx(scale, rel=0.05)

    def test_norms_that_vary_more_than_chi_may_still_be_a_shell(self):
        generator = torch.Generator().manual_seed(0)
        points = torch.randn(64, 4096, generator=generator) * (1 + 0.05 * torch.randn(64, 1, generator=generator))
        advice = advise(points)
        assert advice.use == "slerp"
        assert advice.norm_spread > 3 * advice.chi_band[1]
        assert advice.depth == pytest.approx(0.29 / 0.05, rel=0.25)

    def test_energy_in_the_means_of_channels_wants_lerp_and_is_no_correlation(self):
        noise = torch.randn(32, 4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        offset = torch.tensor([1.5, -1.5, 1.5, -1.5]).view(4, 1, 1, 1)
        advice = advise(noise + offset)
        assert advice.use == "lerp"
        assert "69% of the energy is in the channels' means" in advice.why
        assert advice.means == pytest.approx(offset.flatten().tolist(), abs=0.05)
        assert advice.mean_share == pytest.approx(2.25 / 3.25, abs=0.01)
        assert advice.correlation == pytest.approx(0, abs=0.01)
        assert advice.norm == pytest.approx(1, abs=0.01)
        little = advise(noise + offset / 3)
        assert little.use == "slerp"
        assert "take the channels' means off first, they hold 20% of the energy" in little.why

    @pytest.mark.parametrize("count", [2, 32, 128])
    def test_the_band_holds_99_of_100_sets_of_gaussian_points(self, count):
        sets = torch.randn(400, count, generator=torch.Generator().manual_seed(count), dtype=torch.float64).std(1)
        low, high = advise(torch.randn(count, 8)).chi_band
        assert 0.97 < float(((sets > low) & (sets < high)).double().mean()) < 1

    def test_clips_of_one_scene_want_combine(self):
        advice = advise(seeds(32, correlation=0.6, batch=1)[:, 0])
        assert advice.use == "combine"
        assert advice.correlation == pytest.approx(0.6, abs=0.1)

    def test_points_without_a_shell_want_lerp(self):
        generator = torch.Generator().manual_seed(0)
        advice = advise(torch.randn(32, 64, generator=generator) * torch.rand(32, 1, generator=generator))
        assert advice.use == "lerp"
        assert "no shell" in advice.why

    def test_equal_points_are_answered(self):
        assert advise(torch.randn(1, 64, generator=torch.Generator().manual_seed(0)).expand(4, 64)).use == "combine"
        assert advise(torch.ones(4, 2, 8)).mean_share == 1

    @pytest.mark.parametrize(
        ("latents", "match"),
        [
            (torch.ones(1, 4), "two finite latents"),
            (torch.full((3, 4), torch.nan), "two finite latents"),
            (torch.zeros(3, 4), "not all zero"),
            (torch.ones(4), r"one tensor of latents .* got shape \(4,\)"),
            ([torch.ones(4), torch.ones(4)], r"see torch.stack; got a list"),
        ],
    )
    def test_bad_latents_are_refused(self, latents, match):
        with pytest.raises(ValueError, match=match):
            advise(latents)
