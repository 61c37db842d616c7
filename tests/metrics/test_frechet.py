"""The Frechet distance, against closed forms and scipy's matrix square root."""

import numpy as np
import pytest
import torch
from scipy import linalg

from latentlab.metrics.frechet import Moments, frechet_distance, frechet_infinity

pytestmark = pytest.mark.filterwarnings("ignore:.*mostly bias")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(mean: torch.Tensor, root: torch.Tensor, samples: int, seed: int) -> torch.Tensor:
    """Samples whose mean is exactly `mean` and whose covariance is exactly `root' root`."""
    x = normal(samples, len(mean), seed=seed)
    x = x - x.mean(0)
    return torch.linalg.qr(x).Q * (samples - 1) ** 0.5 @ root + mean


def by_scipy(a: torch.Tensor, b: torch.Tensor) -> float:
    shift = np.square((a.mean(0) - b.mean(0)).numpy()).sum()
    c1, c2 = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = linalg.sqrtm(c1 @ c2) if min(len(a), len(b)) > a.shape[1] else singular_root(c1, c2)
    return float(shift + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real)


def singular_root(c1: np.ndarray, c2: np.ndarray) -> np.ndarray:
    """(C1^(1/2) C2 C1^(1/2))^(1/2), of the same trace: sqrtm itself fails where a covariance is singular."""

    def root(c):
        values, vectors = np.linalg.eigh((c + c.T) / 2)
        return vectors * np.sqrt(values.clip(0)) @ vectors.T

    return root(root(c1) @ c2 @ root(c1))


def test_diagonal_gaussians_have_a_distance_by_hand():
    """|m|^2 + sum (s1 - s2)^2."""
    s1, s2 = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([3.0, 2.0, 1.0]).double()
    a = exactly(torch.tensor([1.0, 0.0, 2.0]).double(), torch.diag(s1), 50, seed=1)
    b = exactly(torch.zeros(3).double(), torch.diag(s2), 80, seed=2)
    assert frechet_distance(a, b) == pytest.approx(5 + 4 + 0 + 0.25)


def test_one_dimension_is_the_distance_of_means_and_spreads():
    a = exactly(torch.tensor([2.0]).double(), torch.tensor([[3.0]]).double(), 10, seed=1)
    b = exactly(torch.tensor([-1.0]).double(), torch.tensor([[1.0]]).double(), 10, seed=2)
    assert frechet_distance(a, b) == pytest.approx(9 + 4)


@pytest.mark.parametrize(("samples", "others", "dim"), [(200, 150, 6), (40, 200, 6), (7, 7, 6)])
def test_it_equals_the_form_with_a_matrix_square_root(samples, others, dim):
    a, b = normal(samples, dim, seed=1) @ normal(dim, dim, seed=3), 2 * normal(others, dim, seed=2) + 0.5
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-5)


@pytest.mark.parametrize(("samples", "others"), [(5, 7), (5, 60), (60, 5)])
def test_it_equals_that_form_with_fewer_samples_than_dimensions(samples, others):
    a, b = normal(samples, 12, seed=1) + 0.3, normal(others, 12, seed=2) @ normal(12, 12, seed=3)
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-5)


@pytest.mark.parametrize("samples", [4, 100])
def test_a_set_is_at_no_distance_from_itself(samples):
    a = normal(samples, 8)
    assert frechet_distance(a, a.clone()) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[torch.randperm(samples)]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("samples", "others"), [(50, 80), (5, 80), (5, 6)])
def test_it_is_symmetric_and_does_not_mind_rotations(samples, others):
    a, b = normal(samples, 8, seed=1), 1.5 * normal(others, 8, seed=2) + 1
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-9)
    turn = torch.linalg.qr(normal(8, 8, seed=3)).Q
    assert frechet_distance(a @ turn + 5, b @ turn + 5) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(2 * a, 2 * b) == pytest.approx(4 * distance, rel=1e-9)


@pytest.mark.parametrize(("samples", "others"), [(5, 80), (5, 6), (80, 5)])
def test_rounding_of_a_singular_covariance_is_not_taken_for_spread(samples, others):
    """A last digit of the features moves the distance by a last digit, not by the root of one."""
    a, b = normal(samples, 8, seed=1), 1.5 * normal(others, 8, seed=2) + 1
    distance = frechet_distance(a, b)
    for seed in range(20):
        jitter = [1 + 2e-16 * normal(*x.shape, seed=seed) for x in (a, b)]
        assert frechet_distance(a * jitter[0], b * jitter[1]) == pytest.approx(distance, rel=1e-13)


def test_float32_features_are_computed_in_double():
    a, b = normal(100, 8, seed=1), normal(100, 8, seed=2) + 0.1
    assert frechet_distance(a.float(), b.float()) == pytest.approx(frechet_distance(a, b), rel=1e-5)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="of one width, got"):
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 4))
    with pytest.raises(ValueError, match="of one width, got"):
        frechet_distance(torch.zeros(5), torch.zeros(5))
    with pytest.raises(ValueError, match="two samples at least, got 1 and 5"):
        frechet_distance(torch.zeros(1, 3), torch.zeros(5, 3))


def test_nan_is_told():
    with pytest.raises(ValueError, match="hold 3 NaN or infinite values of 15"):
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 3).index_put((torch.tensor(1),), torch.tensor(torch.nan)))


@pytest.mark.filterwarnings("default:.*mostly bias")
def test_it_warns_below_dim_plus_one_samples():
    x = normal(40, 8)
    with pytest.warns(UserWarning, match="8 samples for 8 dimensions: the Frechet distance is mostly bias") as told:
        frechet_distance(x[:8], x)
    assert told[0].filename == __file__  # the caller's line, whatever the call goes through


@pytest.mark.filterwarnings("error:.*mostly bias")
def test_it_does_not_warn_from_there():
    x = normal(40, 8)
    frechet_distance(x[:9], x)


class TestMoments:
    def test_they_are_the_mean_and_the_covariance(self):
        x = normal(30, 5)
        found = Moments.of(x)
        torch.testing.assert_close(found.mean, x.mean(0))
        theirs = np.cov(x.numpy().T)
        np.testing.assert_allclose(found.covariance, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())

    @pytest.mark.parametrize("order", [range(7), [6, 2, 0, 5, 1, 4, 3]])
    def test_seven_shards_in_any_order_are_the_whole(self, order):
        x = 3 * normal(500, 16) + 1000  # a large mean shows what is lost
        shards = [Moments.of(part) for part in x.tensor_split([3, 50, 51, 200, 210, 499])]
        merged = shards[order[0]]
        for i in order[1:]:
            merged = merged + shards[i]
        whole = Moments.of(x)
        assert merged.count == 500
        torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=0)
        scale = float(whole.covariance.abs().max())
        torch.testing.assert_close(merged.covariance, whole.covariance, rtol=1e-12, atol=1e-12 * scale)

    def test_grouping_does_not_matter(self):
        a, b, c = (Moments.of(part) for part in normal(60, 4).split(20))
        torch.testing.assert_close((a + (c + b)).scatter, ((a + b) + c).scatter, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(("samples", "others"), [(60, 80), (5, 80), (5, 6)])
    def test_a_distance_of_moments_is_that_of_features(self, samples, others):
        a, b = normal(samples, 8, seed=1), 1.5 * normal(others, 8, seed=2) + 1
        distance = frechet_distance(a, b)
        assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(distance, rel=1e-6)
        assert frechet_distance(a, Moments.of(b)) == pytest.approx(distance, rel=1e-6)
        assert frechet_distance(Moments.of(a), b) == pytest.approx(distance, rel=1e-6)

    def test_other_widths_do_not_merge(self):
        with pytest.raises(ValueError, match="of 3 and 4 dimensions cannot be merged"):
            Moments.of(normal(5, 3)) + Moments.of(normal(5, 4))


class TestInfinity:
    def test_the_bias_of_few_samples_is_gone(self):
        """Equal distributions, whose true distance is 0; and two of a distance known in closed form."""
        a, b = normal(600, 30, seed=1), normal(600, 30, seed=2)
        assert frechet_distance(a, b) > 0.7
        assert abs(frechet_infinity(a, b)) < 0.2
        exact = 30 * 0.5**2 + 30 * (1.5 - 1) ** 2
        assert frechet_infinity(a, 1.5 * b + 0.5) == pytest.approx(exact, rel=0.1)

    def test_the_same_seed_is_the_same_number(self):
        a, b = normal(50, 4, seed=1), normal(70, 4, seed=2)
        assert frechet_infinity(a, b, seed=3) == frechet_infinity(a, b, seed=3) != frechet_infinity(a, b, seed=4)

    def test_too_few_samples_are_an_error_that_names_the_way_out(self):
        with pytest.raises(ValueError, match=r"= 18 samples and 3 points, got 17 and 8: .* `kernel_distance`"):
            frechet_infinity(normal(17, 8), normal(40, 8))

    def test_frames_of_a_clip_stay_together(self):
        """Frames that repeat their clip add nothing: the value is that of the clips alone, up to 1 / (n - 1)."""
        a, b = normal(600, 4, seed=1), 1.5 * normal(600, 4, seed=2) + 0.5
        frames = [[row.expand(3, -1) for row in side] for side in (a, b)]
        assert frechet_infinity(*frames) == pytest.approx(frechet_infinity(a, b), rel=5e-3)
        with pytest.raises(ValueError, match="needs 2 \\(dim \\+ 1\\) = 10 samples and 3 points, got 9 and 8"):
            frechet_infinity(frames[0][:9], frames[1])
