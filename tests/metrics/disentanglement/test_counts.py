"""Bins, entropies and mutual information: closed forms, and scikit-learn's estimators in the same process."""

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from latentlab.metrics.disentanglement.counts import (
    assign_bins,
    conditional_information,
    entropy,
    mutual_information,
    neighbour_information,
)

RNG = np.random.default_rng(0)


def test_quantile_bins_are_numpy_s():
    values = RNG.standard_normal((3, 400))
    edges = [np.unique(np.quantile(row, np.linspace(0, 1, 21)[1:-1])) for row in values]
    expected = [np.searchsorted(e, row, side="right") for e, row in zip(edges, values, strict=True)]
    np.testing.assert_array_equal(assign_bins(values, 20, "quantile"), expected)


@pytest.mark.parametrize(("values", "keep"), [([0.0, 1.0], 0), (range(5), 0), (range(32), 64)])
def test_few_values_are_told_apart_however_rare(values, keep):
    share = np.geomspace(1, 0.05, len(values))
    row = RNG.choice(np.array([*values], float), 2000, p=share / share.sum())
    found = assign_bins(row[None], 5, "quantile", keep)[0]
    np.testing.assert_array_equal(found, np.unique(row, return_inverse=True)[1])


def test_bins_are_cut_between_values():
    """Nine tenths are one value, as behind a rectifier: what lies above is not taken for it."""
    row = np.maximum(RNG.standard_normal(1000) - 1.28, 0)
    found = assign_bins(row[None], 20, "quantile")[0]
    assert (found == 0).sum() == (row == 0).sum()
    assert found.max() >= 1
    steps = RNG.integers(100, size=1000).astype(float)
    found = assign_bins(steps[None], 20, "quantile", 64)[0]
    assert found.max() == 19
    assert np.bincount(found).max() < 80
    assert len(np.unique(np.stack([steps, found]), axis=1).T) == len(np.unique(steps))


def test_many_bins_and_a_constant_row():
    wide = assign_bins(RNG.standard_normal((1, 2000)), 600, "quantile")
    assert wide.max() == 599
    for binning in ("quantile", "width"):
        assert entropy(np.bincount(assign_bins(np.ones((1, 60)), 20, binning)[0])) == 0


def test_information_of_counts_is_scikit_learn_s():
    a, b = RNG.integers(7, size=500), RNG.integers(4, size=(3, 500))
    np.testing.assert_allclose(mutual_information(b, a), [mutual_info_score(a, row) for row in b], atol=1e-12)


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
def test_information_of_neighbours_is_scikit_learn_s(noise):
    labels = RNG.integers(6, size=(2, 800))
    values = labels[0] + noise * RNG.standard_normal(800)
    theirs = [mutual_info_classif(values[:, None], row, n_neighbors=10, random_state=0)[0] for row in labels]
    np.testing.assert_allclose(neighbour_information(values, labels, 10), theirs, atol=1e-9)


def test_neighbours_of_repeated_and_single_values():
    labels = np.arange(60) % 3
    assert neighbour_information(labels.astype(float), labels[None], 10)[0] == pytest.approx(np.log(3), abs=0.1)
    assert neighbour_information(np.arange(60.0), np.arange(60)[None], 10)[0] == 0  # every label once


def test_information_given_a_common_cause():
    """Two noisy copies of one bit tell of each other, given the bit they do not; a sum tells of its parts given one."""
    bit = RNG.integers(2, size=20_000)
    one, two = ((bit + (RNG.random(20_000) < 0.1)) % 2 for _ in range(2))
    assert mutual_information(one[None], two)[0] > 0.1
    assert conditional_information(one, two, bit) < 2e-3
    other = RNG.integers(2, size=20_000)
    assert conditional_information((bit + other) % 2, bit, other) == pytest.approx(np.log(2), abs=1e-3)
    assert conditional_information(bit, bit, bit) == 0


def test_information_given_many_values_is_not_made_of_chance():
    given = RNG.integers(10, size=3000)
    one, two = RNG.integers(20, size=3000), (given + RNG.integers(3, size=3000)) % 10
    assert conditional_information(one, two, given) < 0.03
    assert np.isnan(conditional_information(one[:100], two[:100], given[:100]))


def test_a_rare_value_that_keeps_apart_has_a_bin_of_its_own():
    row = np.concatenate([RNG.standard_normal(4900), 40 + RNG.standard_normal(100)])
    found = assign_bins(row[None], 20, "quantile")[0]
    assert (found[4900:] == found.max()).all()
    assert (found[:4900] < found.max()).all()


def test_edges_lie_in_gaps():
    """Ten clumps in twenty bins: none is told to be two of its neighbours."""
    clump = RNG.integers(10, size=1000)
    found = assign_bins((clump + 0.01 * RNG.standard_normal(1000))[None], 20, "quantile")[0]
    assert mutual_information(found[None], clump)[0] == pytest.approx(entropy(np.bincount(clump)))
