"""Finders without labels, on codes whose structure is planted."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentlab.directions import ICA, PCA, Clusters, Varimax, WeightSVD
from latentlab.directions.unsupervised import principal, varimax

ALL = [PCA(), ICA(), Varimax(), Clusters(), WeightSVD()]


def name(finder) -> str:
    return type(finder).__name__


@parametrize_with_checks(ALL)
def test_every_finder_is_an_estimator(estimator, check):
    check(estimator)


def test_principal_components_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    codes = rng.standard_normal((5000, 6)) * [9, 7, 5, 3, 2, 1] @ turn + 4
    found = PCA(count=3).fit(codes)
    np.testing.assert_allclose(abs(found.directions_ @ turn.T), np.eye(6)[:3], atol=0.05)
    np.testing.assert_allclose(found.scale_**2, np.linalg.eigvalsh(np.cov(codes.T, bias=True))[::-1][:3], rtol=1e-9)
    assert found.variance_ratio_ == pytest.approx(found.scale_**2 / codes.var(0).sum())


def test_the_randomised_decomposition_agrees_with_the_exact_one():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((600, 520)) @ np.diag([20, 16, 13, 10, 8] + [1.0] * 515)
    axes, variance, _ = principal(codes, 5, seed=0)
    _, values, exact = np.linalg.svd(codes - codes.mean(0), full_matrices=False)
    np.testing.assert_allclose(abs((axes * exact[:5]).sum(1)), 1, atol=1e-3)
    np.testing.assert_allclose(variance, values[:5] ** 2 / 600, rtol=1e-3)


def test_components_of_each_part_rest_on_that_part_alone():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((200, 6)) * [1, 4, 2, 3, 1, 9]
    found = PCA(count=1, groups={"frame0": [0, 1, 2], "frame1": [3, 4, 5]}).fit(codes)
    assert found.names_ == ["frame0.pca0", "frame1.pca0"]
    assert found["frame0.pca0"].vector[1] > 0.95
    assert not found["frame0.pca0"].vector[3:].any()
    assert found["frame1.pca0"].vector[5] > 0.95
    with pytest.raises(ValueError, match="part 'late' must hold dims from 0 to 5"):
        PCA(groups={"late": [5, 6]}).fit(codes)


def test_batches_give_the_components_of_the_whole():
    codes = np.random.default_rng(0).standard_normal((400, 5)) * [1, 8, 4, 2, 1] + 3
    batched = PCA(count=2)
    for batch in np.split(codes, 4):
        batched.partial_fit(batch)
    whole = PCA(count=2).fit(codes)
    np.testing.assert_allclose(abs((batched.directions_ * whole.directions_).sum(1)), 1, atol=1e-3)
    np.testing.assert_allclose(batched.scale_, whole.scale_, rtol=0.02)


def test_independent_components_are_unmixed_where_principal_ones_are_not():
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1, 1, (4000, 3))
    mixing = np.array([[2.0, 1.0, 0.3], [0.5, 2.0, 1.0], [1.0, 0.2, 2.0]])
    codes = sources @ mixing
    truth = mixing / np.linalg.norm(mixing, axis=1, keepdims=True)
    cosines = abs(ICA(count=3).fit(codes).directions_ @ truth.T)
    assert cosines.max(1).min() > 0.995
    assert abs(PCA(count=3).fit(codes).directions_ @ truth.T).max(1).min() < 0.98


def test_varimax_turns_components_of_equal_variance_onto_the_axes():
    rng = np.random.default_rng(0)
    codes = np.zeros((500, 8))
    for i in range(4):  # four blocks of two dims, of nearly equal variance: PCA mixes them
        codes[:, 2 * i : 2 * i + 2] = rng.standard_normal((500, 1)) * (1 + 0.001 * i)
    codes += 0.05 * rng.standard_normal(codes.shape)
    blocks = np.kron(np.eye(4), [1, 1]) / np.sqrt(2)
    assert abs(Varimax(count=4).fit(codes).directions_ @ blocks.T).max(1).min() > 0.99
    assert abs(PCA(count=4).fit(codes).directions_ @ blocks.T).max(1).min() < 0.99


def test_varimax_is_a_rotation_that_raises_its_criterion():
    loadings = np.random.default_rng(0).standard_normal((20, 4))
    rotation = varimax(loadings, 100)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-10)
    assert ((loadings @ rotation) ** 2).var(0).sum() > (loadings**2).var(0).sum()


@pytest.mark.parametrize("method", ["kmeans", "mixture"])
def test_clusters_and_the_axes_between_them(method):
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0, 0], [6, 0, 0], [0, 0, 8]])
    codes = np.repeat(centres, 60, axis=0) + 0.2 * rng.standard_normal((180, 3))
    found = Clusters(count=3, method=method).fit(codes)
    assert sorted(tuple(c) for c in found.centres_.round()) == sorted(tuple(c) for c in centres)
    between = found["cluster0-cluster2"].vector
    truth = found.centres_[2] - found.centres_[0]
    np.testing.assert_allclose(between, truth / np.linalg.norm(truth))
    assert len(np.unique(found.labels_[:60])) == 1


def test_clusters_of_fewer_points_than_asked_for():
    found = Clusters(count=5).fit(np.repeat([[0.0, 1.0], [1.0, 1.0]], 4, axis=0))
    assert found.names_ == ["cluster0", "cluster1", "cluster0-cluster1"]
    with pytest.raises(ValueError, match="unknown method 'ward'; there are 'kmeans' and 'mixture'"):
        Clusters(method="ward").fit(np.eye(3))


def test_sefa_is_the_sorted_eigenvectors_of_normalised_weights():
    rng = np.random.default_rng(0)
    layers = [rng.standard_normal((12, 7)) * np.linspace(1, 3, 7), rng.standard_normal((5, 7))]
    found = WeightSVD(weights=[torch.from_numpy(layers[0]), layers[1]], count=3).fit(rng.standard_normal((20, 7)))
    stacked = np.concatenate([w / np.linalg.norm(w, axis=1, keepdims=True) for w in layers])
    _, values, axes = np.linalg.svd(stacked)
    np.testing.assert_allclose(found.gain_, values[:3])
    np.testing.assert_allclose(abs((found.directions_ * axes[:3]).sum(1)), 1)
    with pytest.raises(ValueError, match=r"weights must be \(output, 7\) for these codes, got \(3, 4\)"):
        WeightSVD(weights=np.ones((3, 4))).fit(np.ones((4, 7)))


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_the_same_seed_finds_the_same_also_in_wide_codes_of_few_samples(finder):
    codes = np.random.default_rng(0).standard_normal((12, 40)).astype(np.float32)
    codes[:, 3] = 1.5
    one, two = type(finder)(count=3).fit(codes), type(finder)(count=3).fit(torch.from_numpy(codes))
    np.testing.assert_array_equal(one.directions_, two.directions_)
    assert np.isfinite(one.directions_).all()
    np.testing.assert_allclose(np.linalg.norm(one.directions_, axis=1), 1, atol=1e-5)
    assert np.isnan(one.found_[one.names_[0]].p)


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_codes_with_holes_and_no_components_are_told(finder):
    with pytest.raises(ValueError, match="NaN"):
        type(finder)().fit([[1.0, np.nan], [0.0, 1.0]])


@pytest.mark.parametrize("finder", [PCA(), ICA(), Varimax(), Clusters(), Clusters(method="mixture")], ids=repr)
def test_codes_that_are_all_equal_or_no_numbers_are_told(finder):
    with pytest.raises(ValueError, match="all codes are equal; there is nothing to find"):
        clone(finder).fit(np.ones((20, 4)))
    codes = np.random.default_rng(0).standard_normal((20, 4))
    codes[3, 1] = np.nan
    with pytest.raises(ValueError, match="codes of 1 of 20 samples hold NaN or infinity; leave those samples out"):
        clone(finder).fit(codes)


def test_no_component_is_made_up_where_nothing_varies():
    codes = np.zeros((30, 5))
    codes[:, :2] = np.random.default_rng(0).standard_normal((30, 2))
    for finder in (PCA(count=5), Varimax(count=5), ICA(count=5)):
        found = clone(finder).fit(codes)
        assert len(found) == 2
        assert abs(found.directions_[:, 2:]).max() < 1e-9


@pytest.mark.parametrize("count", [0, 2.5])
@pytest.mark.parametrize("finder", [PCA, ICA, Varimax, WeightSVD])
def test_a_count_that_is_none_is_told(finder, count):
    with pytest.raises(ValueError, match=f"count must be a whole number of at least 1, got {count}"):
        finder(count=count).fit(np.random.default_rng(0).standard_normal((20, 4)))


def test_weights_that_hold_nan_are_told():
    with pytest.raises(ValueError, match="weights hold NaN"):
        WeightSVD(weights=np.array([[np.nan, 1.0]])).fit(np.eye(2))
