"""Effect directions, on codes whose directions are planted."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentlab.data.moving.dataset import MovingShapes
from latentlab.directions import Effect
from latentlab.directions.design import design_of, read_labels
from latentlab.directions.direction_set import unit
from latentlab.factors import Factor, FactorTable


@parametrize_with_checks([Effect()])
def test_effect_is_an_estimator(estimator, check):
    check(estimator)


def planted(samples: int = 2000, *, correlation: float = 0.0, noise: float = 0.5, dim: int = 16, seed: int = 0):
    """Two standard normal factors, their orthonormal directions, and codes = 2 f0 w0 + 1 f1 w1 + noise."""
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], samples)
    vectors = np.linalg.qr(rng.standard_normal((dim, 2)))[0].T
    codes = factors @ (np.array([[2.0], [1.0]]) * vectors) + noise * rng.standard_normal((samples, dim))
    return codes, factors, vectors


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_planted_directions_are_found_also_when_factors_go_together(correlation):
    codes, factors, vectors = planted(correlation=correlation)
    found = Effect().fit(codes, factors)
    cosines = found.directions_ @ vectors.T
    np.testing.assert_allclose(cosines, np.eye(2), atol=0.1)
    assert np.diag(cosines).min() > 0.99


def test_a_difference_of_means_leaks_where_effect_does_not():
    codes, factors, vectors = planted(correlation=0.8)
    high = factors[:, 1] > np.median(factors[:, 1])
    naive = codes[high].mean(0) - codes[~high].mean(0)
    assert abs(naive @ vectors[0]) / np.linalg.norm(naive) > 0.6
    assert abs(Effect().fit(codes, factors)["factor1"].vector @ vectors[0]) < 0.1


def test_effects_are_those_of_one_standard_deviation():
    codes, factors, vectors = planted(20_000, noise=0.1)
    effects = Effect().fit(codes, factors * [3.0, 0.1] + 5).effects_
    np.testing.assert_allclose(effects, np.array([[2.0], [1.0]]) * vectors, atol=0.03)


def test_scale_is_the_standard_deviation_of_the_codes_along_the_direction():
    codes, factors, _ = planted(correlation=0.5)
    found = Effect().fit(codes, factors)
    for name in ("factor0", "factor1"):
        assert found[name].scale == pytest.approx((codes @ found[name].vector).std())
        assert np.linalg.norm(found[name].vector) == pytest.approx(1)


def test_the_share_explained_is_that_of_the_plant():
    """Variance 4 + 1 from factors, 16 dims of noise 0.5^2 = 4 beside it."""
    codes, factors, _ = planted(50_000)
    assert Effect().fit(codes, factors).explained_ == pytest.approx(5 / 9, abs=0.01)


def hue_and_shape(samples: int = 3000, seed: int = 0):
    rng = np.random.default_rng(seed)
    hue, shape = rng.uniform(0, 360, samples), rng.integers(3, size=samples)
    axes = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    radians = np.deg2rad(hue)[:, None]
    codes = np.cos(radians) * axes[0] + np.sin(radians) * axes[1] + axes[2:5][shape]
    codes += 0.3 * rng.standard_normal(codes.shape)
    specs = (Factor("hue", "circular", 0, 360), Factor("shape", "categorical", 0, 2, labels=("a", "b", "c")))
    return codes, FactorTable(np.stack([hue, shape], 1), specs), axes


@pytest.mark.parametrize("degrees", [0, 90, 240, -120, 359.5])
def test_a_circular_factor_points_to_any_angle(degrees):
    codes, table, axes = hue_and_shape()
    found = Effect().fit(codes, table)
    towards = np.cos(np.deg2rad(degrees)) * axes[0] + np.sin(np.deg2rad(degrees)) * axes[1]
    direction = found[f"hue@{degrees}"]
    assert direction.vector @ towards > 0.995
    assert direction.scale == pytest.approx((codes @ direction.vector).std())


def test_a_category_points_away_from_the_mean_of_all():
    codes, table, axes = hue_and_shape()
    found = Effect().fit(codes, table)
    assert found.names_ == ["hue@0", "hue@90", "shape=a", "shape=b", "shape=c"]
    for i, shape in enumerate("abc"):
        towards = axes[2 + i] - axes[2:5].mean(0)
        assert found[f"shape={shape}"].vector @ towards / np.linalg.norm(towards) > 0.99


def test_rows_with_an_unknown_factor_are_left_out():
    codes, factors, _ = planted(300)
    factors[::7, 1] = np.nan
    known = np.isfinite(factors).all(1)
    holes, whole = Effect().fit(codes, factors), Effect().fit(codes[known], factors[known])
    np.testing.assert_allclose(holes.directions_, whole.directions_)
    np.testing.assert_allclose(holes.scale_, whole.scale_)


def test_torch_and_numpy_give_the_same():
    codes, factors, _ = planted(200)
    ours = Effect().fit(torch.from_numpy(codes), torch.from_numpy(factors))
    np.testing.assert_allclose(ours.directions_, Effect().fit(codes, factors).directions_)


def test_t_values_of_a_factor_without_effect_are_those_of_chance():
    rng = np.random.default_rng(0)
    factors = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 400)
    codes = factors[:, :1] @ rng.standard_normal((1, 4000)) + rng.standard_normal((400, 4000))
    t = Effect().fit(codes, factors).t_by_dim_[1]
    assert t.std() == pytest.approx(1, abs=0.05)
    assert abs(t.mean()) < 0.08
    assert (abs(t) > 1.96).mean() == pytest.approx(0.05, abs=0.015)
    assert (abs(t) > 4).mean() < 0.001


def test_t_values_of_categories_without_effect_are_those_of_chance():
    rng = np.random.default_rng(0)
    t = Effect(kinds=["categorical"]).fit(rng.standard_normal((400, 3000)), rng.integers(3, size=400)).t_by_dim_
    assert t.std(axis=1) == pytest.approx(np.ones(3), abs=0.06)


def test_t_values_of_a_real_effect_are_large():
    codes, factors, vectors = planted()
    t = Effect().fit(codes, factors).t_by_dim_[0]
    strongest = abs(vectors[0]).argmax()
    assert abs(t[strongest]) > 20


def test_names_and_kinds_given_by_hand_come_first():
    codes, table, _ = hue_and_shape(200)
    found = Effect(names=["colour", "form"], kinds=["continuous", "continuous"]).fit(codes, table)
    assert found.names_ == ["colour", "form"]


def test_an_unknown_direction_names_the_known_ones():
    codes, table, _ = hue_and_shape(200)
    with pytest.raises(KeyError, match="no direction 'size@90'; there are hue@0, hue@90, shape=a"):
        Effect().fit(codes, table)["size@90"]


def test_a_factor_that_never_changes_is_named():
    codes, factors, _ = planted(50)
    factors[:, 1] = 0.25
    with pytest.raises(ValueError, match=r"factor 'light' is always 0.25; leave it out"):
        Effect(names=["size", "light"]).fit(codes, factors)


def test_too_few_labelled_samples_are_counted():
    codes, factors, _ = planted(8)
    factors[2:, 0] = np.nan
    with pytest.raises(ValueError, match="2 fully labelled samples are too few for 2 factors"):
        Effect().fit(codes, factors)
    factors[:, 0] = np.nan
    with pytest.raises(ValueError, match="0 fully labelled samples are too few"):
        Effect().fit(codes, factors)


@pytest.mark.parametrize(("labels", "least"), [(10, 0.45), (20, 0.65), (100, 0.95)])
def test_a_few_labels_of_many_factors_are_enough_for_a_start(labels, least):
    """Moving shapes have 17 directions; codes are their design times random effects, and as much noise."""
    world = MovingShapes(2000, 1).factors()
    design = design_of(read_labels(world, None, None))
    rng = np.random.default_rng(0)
    effects = rng.standard_normal((len(design.names), 200))
    cosines = []
    for seed in range(5):
        rows = np.random.default_rng(seed).choice(2000, labels, replace=False)
        codes = design.columns[rows] @ effects + rng.standard_normal((labels, 200))
        found = Effect(folds=2, permutations=9).fit(codes, world[rows])
        assert np.isfinite([found.t_value_, found.r2_, found.p_]).all()
        assert np.isfinite(found.t_by_dim_).all()
        continuous = [name for name in found.names_ if "=" not in name]
        cosines += [found[n].vector @ unit(effects[[design.names.index(n)]])[0][0] for n in continuous]
    assert np.mean(cosines) > least


def test_two_factors_of_one_name_are_an_error():
    codes, factors, _ = planted(20)
    with pytest.raises(ValueError, match="two factors cannot have one name: light, light"):
        Effect(names=["light", "light"]).fit(codes, factors)


def test_shapes_that_do_not_fit_are_told():
    codes, factors, _ = planted(50)
    with pytest.raises(ValueError, match="50 codes but 49 rows of factors"):
        Effect().fit(codes, factors[:-1])
    with pytest.raises(ValueError, match="2 factors but 1 names and 2 kinds"):
        Effect(names=["light"]).fit(codes, factors)
    with pytest.raises(ValueError, match="unknown kind 'round' of factor 'factor0'"):
        Effect(kinds=["round", "continuous"]).fit(codes, factors)
