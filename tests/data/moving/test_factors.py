import numpy as np
import pytest

from latentlab.data.moving.factors import FACTORS, NAMES, FactorSampler

COUNT = 4000


@pytest.fixture(scope="module")
def ranks() -> np.ndarray:
    values = FactorSampler(seed=3).table(range(COUNT)).values
    return values.argsort(0).argsort(0)


def test_an_item_depends_on_seed_and_index_alone():
    forwards = [FactorSampler(seed=1)(i) for i in range(5)]
    sampler = FactorSampler(seed=1)
    backwards = [sampler(i) for i in reversed(range(5))][::-1]
    np.testing.assert_array_equal(forwards, backwards)
    assert not np.allclose(forwards, [FactorSampler(seed=2)(i) for i in range(5)])


def test_every_factor_fills_its_range_and_stays_inside():
    values = FactorSampler(seed=0).table(range(COUNT)).values
    low, high = (np.array([getattr(f, end) for f in FACTORS]) for end in ("low", "high"))
    assert (values >= low).all()
    assert (values <= high).all()
    margin = 0.01 * (high - low)
    assert (values.min(0) <= low + margin).all()
    assert (values.max(0) >= high - margin).all()


def test_one_clip_in_ten_rests_and_three_in_ten_do_not_turn():
    table = FactorSampler(seed=0).table(range(COUNT))
    assert np.mean(table["speed"] == 0) == pytest.approx(0.1, abs=0.02)
    assert np.mean(table["rotation"] == 0) == pytest.approx(0.3, abs=0.03)


def test_factors_are_independent(ranks):
    correlation = np.corrcoef(ranks.T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.07  # four and a half standard errors


def test_wanted_correlation_is_there_and_no_other():
    table = FactorSampler(seed=3, correlated={("hue", "size"): 0.8}).table(range(COUNT))
    correlation = np.corrcoef(table.values.argsort(0).argsort(0).T)
    hue, size = NAMES.index("hue"), NAMES.index("size")
    assert correlation[hue, size] == pytest.approx(
        6 / np.pi * np.arcsin(0.4), abs=0.03
    )  # Spearman of a Gaussian copula
    correlation[hue, size] = correlation[size, hue] = 0
    assert np.abs(correlation - np.eye(len(FACTORS))).max() < 0.07


def test_fixed_factor_leaves_the_others():
    free, held = FactorSampler(seed=1)(4), FactorSampler(seed=1, fixed={"light": 0.7})(4)
    changed = [name for name, a, b in zip(NAMES, free, held, strict=True) if a != b]
    assert changed == ["light"]
    assert held[NAMES.index("light")] == 0.7


def test_sweeps_form_a_grid_with_the_last_one_fastest():
    table = FactorSampler(seed=1, sweep={"light": [0.5, 1.0], "size": [5, 6, 7]}).table(range(12))
    np.testing.assert_array_equal(table["light"], [0.5] * 3 + [1.0] * 3 + [0.5] * 3 + [1.0] * 3)
    np.testing.assert_array_equal(table["size"], [5, 6, 7] * 4)
    assert len(np.unique(table["hue"][:6])) == 1
    assert table["hue"][5] != table["hue"][6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fixed": {"light": 2.0}}, "outside its range 0.5 to 1.0"),
        ({"fixed": {"hue": np.nan}}, "outside"),
        ({"fixed": {"shape": 1.5}}, "whole number"),
        ({"sweep": {"size": [5, 50]}}, "size=50"),
        ({"sweep": {"size": []}}, "at least one value"),
        ({"fixed": {"colour": 1}}, "no factor 'colour'"),
        ({"fixed": {"size": 5}, "sweep": {"size": [5]}}, "fixed and swept"),
        ({"correlated": {("hue", "hue"): 0.5}}, "two factors"),
        ({"correlated": {("hue", "size"): 1.0}}, "in \\(-1, 1\\)"),
        (
            {"correlated": {("hue", "size"): 0.9, ("size", "light"): 0.9, ("hue", "light"): -0.9}},
            "contradict each other",
        ),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FactorSampler(**arguments)


def test_angles_may_be_given_beyond_one_turn():
    assert FactorSampler(fixed={"hue": 370})(0)[NAMES.index("hue")] == 370
