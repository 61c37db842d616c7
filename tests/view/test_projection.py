"""Maps of codes: their quality against scikit-learn and closed cases, alignment, new points, bad input."""

import json
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.decomposition import FastICA
from sklearn.manifold import MDS, trustworthiness
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from latentlab.view.projection import project, project_series
from latentlab.view.quality import judge_map


@pytest.fixture(scope="module")
def codes():
    return make_blobs(150, 8, centers=4, cluster_std=2.0, random_state=0)[0]


def test_trustworthiness_and_continuity_are_those_of_scikit_learn(codes):
    found = project(codes, neighbours=7, repeats=0)
    assert found.quality.trustworthiness == pytest.approx(trustworthiness(codes, found.points, n_neighbors=7))
    assert found.quality.continuity == pytest.approx(trustworthiness(found.points, codes, n_neighbors=7))


def test_a_map_that_keeps_everything_scores_one_and_a_random_one_scores_chance():
    flat = np.random.default_rng(0).normal(size=(300, 2))
    perfect = judge_map(flat, 3 * flat[:, ::-1] + 1)
    assert (perfect.trustworthiness, perfect.continuity, perfect.neighbour_overlap) == (1, 1, 1)
    random = judge_map(flat, np.random.default_rng(1).normal(size=(300, 2)))
    assert random.neighbour_overlap == pytest.approx(random.chance, abs=0.02)
    assert random.trustworthiness == pytest.approx(0.5, abs=0.05)


def test_a_torn_map_is_not_continuous_and_a_folded_one_not_trustworthy():
    turn = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    torn = judge_map(ring, np.stack([turn, 0 * turn], 1))
    folded = judge_map(ring, np.stack([np.cos(turn), 0 * turn], 1))
    assert torn.trustworthiness > 0.99 > torn.continuity
    assert folded.trustworthiness < folded.continuity


def test_overlap_by_hand():
    line = np.arange(6.0)[:, None]
    swapped = np.array([[0.0], [1], [2], [3], [5.1], [4]])  # the last two change places
    assert judge_map(line, line, neighbours=2).neighbour_overlap == 1
    # rows 3, 4 and 5: {2, 4} and {2, 5}, {3, 5} and {5, 3}, {4, 3} and {3, 4}
    assert judge_map(line, swapped, neighbours=2).neighbour_overlap == pytest.approx(11 / 12)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_same_seed_gives_the_same_map(codes, method):
    a, b = (project(codes, method, seed=3, repeats=0).points for _ in range(2))
    assert np.array_equal(a, b)


def test_stability_tells_structure_from_noise():
    rng = np.random.default_rng(0)
    clear = rng.normal(size=(200, 10)) * ([10, 5] + [1] * 8)
    noise = rng.normal(size=(200, 10))
    assert project(clear).quality.stability > 0.99
    assert project(noise).quality.stability < 0.95
    assert project(noise).quality.stable_neighbours < project(clear).quality.stable_neighbours


@pytest.mark.slow
def test_a_large_set_is_judged_on_a_part_and_says_so():
    codes = np.random.default_rng(0).normal(size=(3000, 3))
    found = project(codes, judge=200, repeats=2)
    assert found.quality.judged == 200
    assert "quality judged on 200 of 3,000 rows" in found.notes
    assert "stability is that of maps of 180 rows" in found.notes
    part = project(codes, "tsne", at_most=150, judge=200, repeats=0)
    assert part.points.shape == (3000, 2)
    assert "learned from 150 of 3,000 rows, the others placed on the map" in part.notes


def test_a_series_says_the_same():
    codes = np.random.default_rng(0).normal(size=(300, 3))
    judged = ("quality judged on 100 of 300 rows", "stability is that of maps of 90 rows")
    shared = project_series([codes, codes], at_most=150, judge=100, repeats=2)
    learned = "learned from 150 of 600 rows, the others placed on the map"
    assert [one.notes for one in shared] == [("one basis for all steps", learned, *judged)] * 2
    first, second = project_series([codes, codes], FastICA(2), judge=100, repeats=2)
    assert (first.notes, second.notes) == (judged, ("turned onto the step before", *judged))
    with pytest.raises(TypeError, match="neighbors"):
        project_series([codes], neighbors=3)


def test_long_codes_are_reduced_and_say_so():
    codes = torch.randn(60, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert project(codes, "tsne", repeats=0).notes[0].startswith("50 principal components of 300 dims, ")


@pytest.mark.slow
def test_new_points_on_an_old_map(codes):
    for method in ("pca", "tsne"):
        found = project(codes, method, repeats=0)
        np.testing.assert_allclose(found.transform(codes), found.points, atol=1e-6)
    # a new code close to a fitted one lands close to it; t-SNE has no transform of its own
    spread = found.points.std()
    assert np.abs(found.transform(codes[:20] + 1e-3) - found.points[:20]).max() < 0.01 * spread
    with pytest.raises(ValueError, match=r"must be \(sample, 8\), got shape \(2, 3\)"):
        found.transform(np.zeros((2, 3)))


@pytest.mark.parametrize("estimator", [FastICA(2), MDS(n_init=1, max_iter=20)])
def test_any_estimator(codes, estimator):
    before = dict(estimator.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = (project(codes[:60], estimator, seed=1, repeats=0) for _ in range(2))
    assert a.method == type(estimator).__name__
    assert np.array_equal(a.points, b.points)
    assert estimator.get_params() == before
    assert a.transform(codes[:3]).shape == (3, 2)


class Thrown:
    """A map by chance, by a class that knows nothing of scikit-learn."""

    def __init__(self):
        self.random_state = None

    def fit_transform(self, codes):
        return codes @ np.random.default_rng(self.random_state).normal(size=(codes.shape[1], 2))


@pytest.mark.parametrize("method", [Thrown(), make_pipeline(StandardScaler(), GaussianRandomProjection(2))])
def test_classes_of_ones_own_and_pipelines_are_seeded(codes, method):
    a, b, c = (project(codes, method, seed=seed, repeats=0).points for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)
    assert getattr(method, "random_state", None) is None  # the one given is left alone


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_series_does_not_flip(codes, method):
    turns = [np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)) + 20 * np.eye(8) * s)[0] for s in (1, -1, 1)]
    steps = [codes @ turn for turn in turns] if method != "pca" else [codes, codes + 0.1, codes + 0.2]
    maps = project_series(steps, method, repeats=0)
    for a, b in pairwise(maps):
        correlation = [np.corrcoef(a.points[:, i], b.points[:, i])[0, 1] for i in range(2)]
        assert min(correlation) > 0.9
    np.testing.assert_allclose(maps[-1].transform(steps[-1]), maps[-1].points, atol=1e-6)


def test_a_turn_is_undone_exactly():
    """Without the alignment each of these maps would be a random reflection of the one before."""
    codes = np.random.default_rng(0).normal(size=(50, 3))
    steps = [codes, codes * [-1, 1, 1], codes * [1, -1, 1]]
    maps = project_series(steps, FastICA(2, whiten="unit-variance", tol=1e-6, max_iter=2000), repeats=0)
    mirrored = [np.linalg.lstsq(a.points, b.points, rcond=None)[0] for a, b in pairwise(maps)]
    assert all(np.trace(turn) > 0 for turn in mirrored)


def test_it_is_saved_with_its_manifest(codes, tmp_path):
    from safetensors import safe_open

    found = project(codes, seed=5, repeats=0)
    found.save(tmp_path / "new" / "map.safetensors")
    with safe_open(tmp_path / "new" / "map.safetensors", "numpy") as file:
        assert np.array_equal(file.get_tensor("points"), found.points)
        about = json.loads(file.metadata()["projection"])
    assert about["seed"] == 5
    assert about["quality"]["trustworthiness"] == found.quality.trustworthiness


@pytest.mark.slow
def test_umap(codes):
    pytest.importorskip("umap", reason="umap-learn is not installed (the metrics extra)")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = project(codes, "umap", seed=1, repeats=0)
        first, second = project_series([codes, codes + 0.05], "umap", seed=1, repeats=0)
    assert np.array_equal(found.points, first.points)
    assert found.quality.trustworthiness > 0.8
    np.testing.assert_allclose(found.transform(codes), found.points, atol=1e-3)
    assert min(np.corrcoef(first.points[:, i], second.points[:, i])[0, 1] for i in range(2)) > 0.8


def test_mistakes_are_named(codes):
    with pytest.raises(ValueError, match="pca, tsne, umap or an estimator with fit_transform, got 'pcs'"):
        project(codes, "pcs")
    with pytest.raises(ValueError, match="1 codes are not finite, the first is row 1"):
        project([[0.0, 1], [np.nan, 1], [1, 2], [3, 4], [5, 6]])
    with pytest.raises(ValueError, match=r"got shape \(9, 4, 2, 2, 2\); `.flatten\(1\)`"):
        project(torch.zeros(9, 4, 2, 2, 2))
    with pytest.raises(ValueError, match="at least 5 codes are needed, got 3"):
        project(codes[:3])
    with pytest.raises(ValueError, match="all codes are the same"):
        project(np.ones((20, 3)))
    with pytest.raises(ValueError, match="from 1 to the 8 dims of the codes, got 9"):
        project(codes, dims=9)
    with pytest.raises(ValueError, match="150 codes for 149 points"):
        judge_map(codes, codes[1:, :2])
    with pytest.raises(ValueError, match="arrays of one shape"):
        project_series([codes, codes[1:]])
    with pytest.raises(ValueError, match="`judge` must be 5 or more"):
        project(codes, judge=2)
    with pytest.raises(ValueError, match="`at_most` must be 5 or more rows to learn a map from, got 0"):
        project(codes, at_most=0)
    with pytest.raises(ValueError, match="an estimator with fit_transform, got <class"):
        project(codes, FastICA)
    with pytest.raises(ValueError, match="all points of the map are the same"):
        judge_map(codes, np.ones((150, 2)))


class Slow:
    def fit_transform(self, codes):
        raise AssertionError("fitted before the settings were checked")


@pytest.mark.parametrize("wrong", [{"judge": 4}, {"repeats": 1}, {"neighbours": 0}])
def test_mistakes_are_named_before_a_long_fit(codes, wrong):
    with pytest.raises(ValueError, match="`judge` must be 5 or more"):
        project(codes, Slow(), **wrong)
    with pytest.raises(ValueError, match="`judge` must be 5 or more"):
        project_series([codes, codes], Slow(), **wrong)


def test_a_map_has_a_row_for_each_code(codes):
    flat = Slow()
    flat.fit_transform = lambda rows: rows[0]
    with pytest.raises(ValueError, match=r"Slow has to make a map \(sample, 2\) of 150 rows, got \(8,\)"):
        project(codes, flat)


@pytest.mark.parametrize("offset", [0, 1e4, 1e6])
def test_components_do_not_mind_an_offset_of_float32(offset):
    """Activations with a massive channel; the components are those of an exact decomposition."""
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((400, 16)) * np.r_[6, 4, np.ones(14)] + offset).astype(np.float32)
    centred = rows.astype(np.float64) - rows.astype(np.float64).mean(0)
    exact = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    found = project(rows, repeats=0)
    for points, truth in ((found.points, exact), (found.transform(rows[:50]), exact[:50])):
        assert np.abs(np.abs(points) - np.abs(truth)).max() < 1e-4
    assert judge_map(rows, exact).trustworthiness == pytest.approx(judge_map(centred, exact).trustworthiness, abs=1e-3)
