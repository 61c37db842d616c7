"""Metrics that need no factors: total correlation, Wasserstein dependence, agreement of models."""

import numpy as np
import pytest
import torch

from latentlab.metrics import disentanglement as dis
from latentlab.metrics.disentanglement.udr import relative_strength

RNG = np.random.default_rng(0)
WHITE = RNG.standard_normal((4000, 3))


@pytest.mark.parametrize("regime", ["perfect6", "noisy", "rotated", "random"])
def test_dependence_is_disentanglement_lib_s(oracle, regime):
    codes = oracle[f"{regime}/z_train"].astype(float)
    theirs = float(oracle[f"{regime}/dlib/gaussian_total_correlation"])
    assert dis.total_correlation(codes).value == pytest.approx(theirs, abs=1e-9)
    theirs = float(oracle[f"{regime}/dlib/gaussian_wasserstein_correlation_norm"])
    assert dis.wasserstein_dependence(codes).value == pytest.approx(theirs, abs=1e-9)


def test_two_correlated_gaussians():
    """-log(1 - r^2) / 2, and 2 - sqrt(1 + r) - sqrt(1 - r) of the total variance, r as it was drawn."""
    codes = np.column_stack([WHITE[:, 0], 0.6 * WHITE[:, 0] + 0.8 * WHITE[:, 1]])
    codes /= codes.std(0)
    r = np.corrcoef(codes.T)[0, 1]
    assert dis.total_correlation(torch.as_tensor(codes)).value == pytest.approx(-np.log(1 - r**2) / 2, abs=1e-9)
    expected = 2 - np.sqrt(1 + r) - np.sqrt(1 - r)
    assert dis.wasserstein_dependence(codes).value == pytest.approx(expected, abs=1e-9)


def test_copies_constants_and_drawn_codes():
    copied = np.column_stack([WHITE, WHITE[:, 0], np.ones(4000)])
    assert dis.total_correlation(copied, bootstrap=3).value == np.inf
    assert 0 < dis.wasserstein_dependence(copied).value < 1
    drawn = dis.total_correlation(copied, spread=np.ones(copied.shape))  # noise of their own sets the copies apart
    assert drawn.value == pytest.approx(-np.log(1 - 0.25) / 2, abs=0.01)
    assert drawn.settings["codes"] == "sampled"
    with pytest.raises(ValueError, match="all 3 dims are constant"):
        dis.total_correlation(np.ones((60, 3)))


def test_the_null_level_is_that_of_independent_dims():
    found = dis.total_correlation(WHITE, null=10, bootstrap=20)
    assert found.ci is not None
    assert found.null is not None
    assert found.ci[0] <= found.null <= found.ci[1]
    assert found.adjusted is None  # there is no best value to adjust towards


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [(np.eye(4), 1), (np.ones((3, 3)), 1 / 3), (np.zeros((3, 3)), 0), (np.zeros((0, 2)), 0)],
)
def test_relative_strength(similarity, expected):
    assert relative_strength(similarity) == pytest.approx(expected)


def test_models_that_agree():
    codes = RNG.standard_normal((3000, 5)) * [1, 2, 3, 4, 5]
    same = [codes, -codes[:, ::-1], codes**3]  # order, sign and a bend do not matter to ranks
    turned = codes / codes.std(0) @ np.linalg.qr(RNG.standard_normal((5, 5)))[0]
    agree, odd = dis.udr(same, null=3, bootstrap=5), dis.udr([*same, turned])
    assert agree.value > 0.9
    assert agree.null is not None
    assert agree.null < 0.1
    assert odd.per_factor["model3"] < 0.7 < odd.per_factor["model0"]
    assert dis.udr(same[:2], similarity="lasso").value == pytest.approx(0.9, abs=0.01)


def test_uninformative_dims_of_models_are_left_out():
    codes = np.column_stack([WHITE, RNG.standard_normal((4000, 3))])
    noisy = np.column_stack([WHITE, RNG.standard_normal((4000, 3))])
    mask = np.arange(6) < 3
    assert dis.udr([codes, noisy], informative=[mask, mask]).value > dis.udr([codes, noisy]).value + 0.2


@pytest.mark.parametrize(
    ("models", "options", "match"),
    [
        ([WHITE], {}, "two models at least"),
        ([WHITE, WHITE[:100]], {}, "same samples"),
        ([WHITE, WHITE], {"similarity": "dot"}, "unknown similarity 'dot'"),
        ([WHITE, WHITE], {"informative": [[True], [True]]}, "masks"),
        ([WHITE, WHITE], {"informative": 2 * [[*range(WHITE.shape[1])]]}, "not numbers of dims"),
        ([WHITE, WHITE * np.nan], {}, "NaN"),
    ],
)
def test_bad_models_are_named(models, options, match):
    with pytest.raises(ValueError, match=match):
        dis.udr(models, **options)
