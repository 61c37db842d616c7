"""All supervised finders: the estimator contract, planted codes, evidence, bad input."""

import numpy as np
import pytest
import torch
from oracles_of_directions import LinearGaussian
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentlab.directions import (
    LDA,
    ChannelRanking,
    Dual,
    Effect,
    LogisticNormal,
    MeanDifference,
    PairedDifference,
    RidgeNormal,
    SVMNormal,
    evidence,
)
from latentlab.directions.finder import project_out_others, two_sides
from latentlab.directions.normals import solve_shrunk
from latentlab.factors import Factor, FactorTable

ONE_BY_ONE = [RidgeNormal(), LogisticNormal(), SVMNormal(), LDA(), MeanDifference(), ChannelRanking(channels=8)]
ALL = [Effect(), Dual(), PairedDifference(), *ONE_BY_ONE]


def name(finder) -> str:
    return type(finder).__name__


@parametrize_with_checks([finder for finder in ALL if not isinstance(finder, Effect)])
def test_every_finder_is_an_estimator(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def oracle():
    return LinearGaussian(dim=64, anisotropy=30, seed=0)


@pytest.fixture(scope="module")
def leaks(oracle):
    """Leakage of every finder on the oracle, 1,000 labels."""
    codes, factors = oracle.draw(1000, seed=1)
    conditional = [clone(f).set_params(conditional=True) for f in ONE_BY_ONE[:-1]]
    finders = [Effect(), Dual(), *ONE_BY_ONE, *conditional]
    fitted = [clone(f).set_params(folds=0, permutations=0).fit(codes, factors) for f in finders]
    return {name(f) + "+" * getattr(f, "conditional", False): oracle.leakage(f.directions_) for f in fitted}


def test_effect_and_dual_leak_least(leaks):
    assert leaks["Effect"] <= 0.02
    assert leaks["Dual"] <= 0.04
    assert min(leak for finder, leak in leaks.items() if finder not in ("Effect", "Dual")) > leaks["Effect"]


@pytest.mark.parametrize("finder", ["RidgeNormal", "LogisticNormal", "SVMNormal", "LDA", "MeanDifference"])
def test_conditional_projection_takes_most_of_the_leakage_away(leaks, finder):
    assert leaks[finder] > 0.3
    assert leaks[finder + "+"] < 0.6 * leaks[finder]


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_one_planted_factor_is_found_and_points_upwards(finder):
    rng = np.random.default_rng(0)
    level = rng.uniform(size=400)
    codes = rng.standard_normal((400, 8))
    codes[:, 3] += 8 * level
    found = clone(finder).set_params(names=["light"], **{"channels": 1} if hasattr(finder, "channels") else {})
    direction = found.fit(codes, level)["light"]
    assert direction.vector[3] > 0.85
    assert direction.scale == pytest.approx((codes @ direction.vector).std())
    assert direction.p == 0.01
    assert direction.t > 10
    # Along the truth itself the share is 64 / 12 / (64 / 12 + 1).
    assert 0.6 < direction.r2 < 0.9


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_the_same_seed_finds_the_same_and_nothing_in_the_codes_is_changed(finder, oracle):
    codes, factors = oracle.draw(120, seed=2)
    before = codes.copy()
    factors = np.stack([np.sign(factors[:, 0]), np.arange(120) // 40], 1)  # many samples share either of them
    one, two = (clone(finder).set_params(folds=2).fit(codes, factors) for _ in range(2))
    for attribute in ("directions_", "scale_", "t_value_", "r2_", "p_"):
        np.testing.assert_array_equal(getattr(one, attribute), getattr(two, attribute))
    np.testing.assert_array_equal(codes, before)


def mixed(samples: int = 900, seed: int = 0):
    """A circular, a categorical and an ordinal factor, each in dims of its own."""
    rng = np.random.default_rng(seed)
    hue, shape, count = rng.uniform(0, 360, samples), rng.integers(3, size=samples), rng.integers(1, 6, samples)
    codes = 0.4 * rng.standard_normal((samples, 10))
    codes[:, 0] += np.cos(np.deg2rad(hue))
    codes[:, 1] += np.sin(np.deg2rad(hue))
    codes[np.arange(samples), 2 + shape] += 2
    codes[:, 5] += count
    specs = (
        Factor("hue", "circular", 0, 360),
        Factor("shape", "categorical", 0, 2, labels=("a", "b", "c")),
        Factor("count", "ordinal", 1, 5),
    )
    return codes, FactorTable(np.stack([hue, shape, count], 1), specs)


@pytest.mark.parametrize("finder", [Dual(), *ONE_BY_ONE], ids=name)
def test_factors_of_every_kind(finder):
    codes, table = mixed()
    finder = clone(finder).set_params(**({"channels": 2} if isinstance(finder, ChannelRanking) else {}))
    found = finder.fit(codes, table)
    assert found.names_ == ["hue@0", "hue@90", "shape=a", "shape=b", "shape=c", "count"]
    assert found["hue@0"].vector[0] > 0.95
    assert found["hue@90"].vector[1] > 0.95
    towards = found["hue@225"].vector
    assert towards[0] < -0.6
    assert towards[1] < -0.6
    assert found["count"].vector[5] > 0.97
    for i, shape in enumerate("abc"):
        vector = found[f"shape={shape}"].vector
        assert vector[2 + i] == vector.max()
        assert vector[2 + i] > 0.65
    assert (found.p_ == 0.01).all()


@pytest.mark.parametrize("finder", ONE_BY_ONE, ids=name)
def test_what_is_known_of_one_factor_is_used_where_another_is_not(finder):
    codes, table = mixed(300)
    values = table.values.copy()
    values[::2, 0] = np.nan  # no sample is known in both
    values[1::2, 2] = np.nan
    holes = clone(finder).fit(codes, FactorTable(values, table.specs))
    alone = clone(finder).fit(codes[::2], table[::2].select(["count"]))
    np.testing.assert_allclose(holes["count"].vector, alone["count"].vector, atol=1e-6)


@pytest.mark.parametrize("finder", [Effect(), Dual(), PairedDifference()], ids=name)
def test_finders_of_all_factors_at_once_say_what_to_do_where_none_is_complete(finder):
    codes, table = mixed(100)
    values = table.values.copy()
    values[::2, 0] = values[1::2, 2] = np.nan
    with pytest.raises(ValueError, match="0 fully labelled samples are too few for 3 factors; finders that look at"):
        finder.fit(codes, FactorTable(values, table.specs))


def test_pairs_tell_the_truth_where_factors_are_confounded():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((50, 1))
    size = np.stack([base[:, 0], base[:, 0] + rng.uniform(0.5, 2, 50)], 1).ravel()
    light = np.repeat(base, 2)  # goes with size, but is the same within each pair
    codes = np.stack([size, 3 * light, np.zeros(100)], 1) + 0.01 * rng.standard_normal((100, 3))
    # All pairs differ in size alone; light needs pairs of its own.
    factors = np.stack([size, light], 1)
    with pytest.raises(ValueError, match="no two samples differ in 'light' alone; render sweeps of it, or use Effect"):
        PairedDifference(names=["size", "light"]).fit(codes, factors)
    more = factors[::2] + np.array([0.0, 1.0])
    codes = np.concatenate([codes, np.stack([more[:, 0], 3 * more[:, 1], np.zeros(50)], 1)])
    found = PairedDifference(names=["size", "light"], folds=0).fit(codes, np.concatenate([factors, more]))
    np.testing.assert_allclose(found.directions_, np.eye(3)[:2], atol=0.05)
    assert found.pairs_.tolist() == [50, 50]


def test_ranked_channels_are_sparse_and_ordered():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((500, 20)) * np.linspace(1, 50, 20)
    codes[:, 4] += 40 * (strong := rng.uniform(size=500))
    codes[:, 7] -= 30 * strong
    found = ChannelRanking(channels=2, folds=0).fit(codes, strong)
    assert found.ranking_[0, :2].tolist() == [4, 7]
    assert np.flatnonzero(found.directions_[0]).tolist() == [4, 7]
    assert found.directions_[0, 4] > 0 > found.directions_[0, 7]


@pytest.mark.parametrize("finder", [Effect(), MeanDifference()], ids=name)
def test_labels_that_say_nothing_have_no_evidence(finder):
    """Under the null small p are as rare as they say and R2 is none, also where dims outnumber samples."""
    rng = np.random.default_rng(0)
    found = [
        clone(finder).set_params(random_state=i).fit(rng.standard_normal((60, 100)), rng.standard_normal((60, 2)))
        for i in range(60)
    ]
    p, r2 = np.ravel([f.p_ for f in found]), np.ravel([f.r2_ for f in found])
    assert 0.35 < p.mean() < 0.65
    assert (p <= 0.05).mean() < 0.1
    assert (p <= 0.1).mean() < 0.16
    assert r2.mean() < 0.02


def test_r2_is_that_of_predictions_and_negative_where_they_are_worse_than_the_mean():
    rng = np.random.default_rng(0)
    light = rng.standard_normal(4000)
    codes = np.stack([light + rng.standard_normal(4000), rng.standard_normal(4000)], 1)
    assert MeanDifference(permutations=0).fit(codes, light).r2_[0] == pytest.approx(0.5, abs=0.03)
    noise = [
        MeanDifference(permutations=0).fit(codes[i : i + 20], rng.standard_normal(20)).r2_ for i in range(0, 200, 20)
    ]
    assert min(noise) < 0


def test_evidence_is_of_the_direction_and_not_of_codes_and_factors_alone():
    """Light moves two dims; a finder that may name one dim alone takes the wrong one, as that is the one it ranks."""
    rng = np.random.default_rng(0)
    light = rng.uniform(size=(80, 1))
    codes = 0.15 * light + 0.3 * rng.standard_normal((80, 40))  # a little of it everywhere
    whole, single = Effect().fit(codes, light), ChannelRanking(channels=1).fit(codes, light)
    assert whole.p_[0] < single.p_[0]
    assert whole.r2_[0] > single.r2_[0]
    assert whole.t_value_[0] > single.t_value_[0]


def test_few_labels_still_tell_a_strong_effect():
    rng = np.random.default_rng(0)
    light = rng.uniform(size=12)
    codes = np.outer(light, np.ones(500)) * 3 + rng.standard_normal((12, 500))
    for finder, least in (
        (Effect(), 0.9),
        (MeanDifference(), 0.8),
        (RidgeNormal(), 0.3),
        (LDA(), 0.3),
        (SVMNormal(), 0.4),  # two samples near the border decide it: its best here is what they have in common
    ):
        found = finder.fit(codes, light)["factor0"]
        assert found.p <= 0.05
        assert found.vector.sum() / np.sqrt(500) > least, name(finder)


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_wide_codes_constant_dims_and_single_precision(finder):
    rng = np.random.default_rng(0)
    light = rng.integers(3, size=30).astype(float)
    codes = rng.standard_normal((30, 50)).astype(np.float32)
    codes[:, 7] = 2.5
    codes[:, 0] += 5 * light
    found = clone(finder).fit(torch.from_numpy(codes), torch.from_numpy(light))
    assert np.isfinite(found.directions_).all()
    assert abs(found.directions_[0, 7]) < 1e-6
    assert found.directions_[0, 0] > 0.5


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_bad_input_is_told(finder):
    codes, level = np.random.default_rng(0).standard_normal((30, 4)), np.arange(30.0)
    holes = codes.copy()
    holes[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        clone(finder).fit(holes, level)
    with pytest.raises(ValueError, match=r"factor 'light' is always 1\.0; leave it out"):
        clone(finder).set_params(names=["light"]).fit(codes, np.ones(30))
    with pytest.raises(ValueError, match=r"factor 'factor0' is not known of any|0 fully labelled samples"):
        clone(finder).fit(codes, np.full(30, np.nan))
    with pytest.raises(ValueError, match="30 codes but 29 rows of factors"):
        clone(finder).fit(codes, level[1:])


def test_two_sides_do_not_tear_ties():
    low, high = two_sides(np.array([0.0] * 7 + [1.0] * 3), 0.5)
    assert low.tolist() == [True] * 7 + [False] * 3
    assert (low ^ high).all()
    low, high = two_sides(np.arange(100.0), 0.02)
    assert np.flatnonzero(low).tolist() == list(range(10))
    assert np.flatnonzero(high).tolist() == list(range(90, 100))
    with pytest.raises(ValueError, match=r"share must be in \(0, 0.5\], got 0.7"):
        two_sides(np.arange(4.0), 0.7)


def test_projection_leaves_nothing_of_other_factors_and_all_of_its_own():
    vectors = np.random.default_rng(0).standard_normal((4, 6))
    factor = np.array([0, 0, 1, 2])
    held = project_out_others(vectors, factor)
    for k in range(4):
        np.testing.assert_allclose(held[k] @ vectors[factor != factor[k]].T, 0, atol=1e-12)
    assert abs(held[0] @ vectors[1]) > 1e-3


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_shrunk_systems_are_solved_from_either_side(shape):
    a = np.random.default_rng(0).standard_normal(shape)
    target = np.arange(shape[1], dtype=float)
    x = solve_shrunk(a, 0.3, target)
    np.testing.assert_allclose(a.T @ (a @ x) + 0.3 * x, target, atol=1e-10)


def swept(base: np.ndarray) -> np.ndarray:
    """Size and light of clips, then of each with another size, then of each with another light."""
    return np.concatenate([base, base + np.array([1.0, 0.0]), base + np.array([0.0, 1.0])])


def test_pairs_are_left_out_whole(monkeypatch):
    """Each part holds both of a pair or none."""
    rng = np.random.default_rng(0)
    pairs = 30
    factors = swept(rng.standard_normal((pairs, 2)))
    codes = factors @ rng.standard_normal((2, 6)) + 0.3 * rng.standard_normal((3 * pairs, 6))
    seen = []
    split = evidence.split_groups
    monkeypatch.setattr(evidence, "split_groups", lambda *given: seen.append((given[0], out := split(*given))) or out)
    found = PairedDifference(names=["size", "light"]).fit(codes, factors)
    assert len(seen) == 2
    for group, parts in seen:
        assert sorted(np.concatenate(parts)) == list(range(len(codes)))
        for part in parts:
            assert not set(group[part]) & set(np.delete(group, part))
            assert (np.bincount(group[part]) == 2).sum() == pairs / len(parts)  # each part has its share of pairs
    assert (found.p_ < 0.05).all()
    assert (found.r2_ > 0.5).all()


def test_a_group_for_itself_has_no_evidence():
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((40, 2))
    factors[:2, 1] = factors[2:12, 1] = factors[2, 1]  # one sweep of size
    factors[20:22, 0], factors[30:32, 0] = 0.5, -0.5  # two pairs of light
    found = PairedDifference(names=["size", "light"]).fit(factors @ rng.standard_normal((2, 4)), factors)
    assert np.isnan([found.t_value_[0], found.r2_[0], found.p_[0]]).all()
    assert np.isfinite([found.t_value_[1], found.r2_[1], found.p_[1]]).all()


def test_evidence_of_pairs_is_level_under_the_null():
    rng = np.random.default_rng(0)
    p = []
    for seed in range(60):
        factors = swept(rng.standard_normal((20, 2)))
        codes = np.tile(rng.standard_normal((20, 8)), (3, 1)) + 0.5 * rng.standard_normal((60, 8))  # of the base alone
        p.append(PairedDifference(random_state=seed, permutations=49).fit(codes, factors).p_)
    assert (np.array(p) <= 0.1).mean() < 0.18


def test_a_table_says_what_a_full_turn_is():
    rng = np.random.default_rng(0)
    turns = rng.uniform(size=(200, 1))
    codes = np.hstack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)])
    tables = [FactorTable(turns * high, (Factor("hue", "circular", 0, high),)) for high in (1, 360)]
    first, second = (Effect(folds=0).fit(codes, table) for table in tables)
    np.testing.assert_allclose(first["hue@90"].vector, [0, 1], atol=0.1)
    np.testing.assert_allclose(first.directions_, second.directions_)
    assert tables[0].values.max() <= 1  # the user's own table is left alone


@pytest.mark.parametrize("finder", ALL, ids=name)
def test_codes_that_are_all_equal_are_told(finder):
    with pytest.raises(ValueError, match="all codes are equal"):
        clone(finder).fit(np.ones((40, 5)), np.arange(40.0))


@pytest.mark.parametrize("finder", [LogisticNormal(), SVMNormal()], ids=name)
def test_a_dim_far_from_zero_does_not_hide_the_others(finder):
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((200, 4))
    near = clone(finder).set_params(folds=0).fit(codes, codes[:, 1])
    far = clone(finder).set_params(folds=0).fit(codes + np.array([0, 0, 1e6, 0]), codes[:, 1])
    np.testing.assert_allclose(far.directions_, near.directions_, atol=1e-4)


@pytest.mark.parametrize("value", [-1.0, 0.5, 3.0])
def test_a_category_without_a_name_is_told(value):
    shapes = np.arange(30.0)[:, None] % 3
    shapes[4] = value
    table = FactorTable(shapes, (Factor("shape", "categorical", 0, 2, labels=("star", "square", "circle")),))
    with pytest.raises(ValueError, match=f"one of star, square, circle, 0 to 2; got {value:g}"):
        Effect().fit(np.random.default_rng(0).standard_normal((30, 4)), table)
