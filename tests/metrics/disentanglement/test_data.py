"""How codes and factors are read: kinds, dims that do not count, correlated factors, drawn codes."""

import numpy as np
import pytest

from latentlab.metrics import disentanglement as dis

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(3000, 2))
PERFECT = FACTORS + 0.01 * RNG.standard_normal(FACTORS.shape)


def test_dims_that_do_not_count_are_named():
    codes = np.column_stack([PERFECT, np.ones(3000), 1e-3 * RNG.standard_normal(3000)])
    found = {prune: dis.modularity(codes, FACTORS, prune=prune) for prune in ("none", "constant", 0.05)}
    assert {p: s.settings["inactive"] for p, s in found.items()} == {"none": [], "constant": [2], 0.05: [2, 3]}
    assert found[0.05].value > 0.99
    assert found["none"].value < 0.9
    assert dis.mig(np.zeros((60, 3)), FACTORS[:60], null=2, bootstrap=2).value == 0


def test_correlated_factors_are_named_and_answered():
    """A perfect code of factors that go together loses its gap; given each other, it has it."""
    first = RNG.integers(4, size=20_000)
    second = np.where(RNG.random(20_000) < 0.7, first, RNG.integers(4, size=20_000))
    factors = np.stack([first, second, RNG.integers(3, size=20_000)], 1)
    options = {"names": ("size", "weight", "hue"), "binning": "width"}
    with pytest.warns(UserWarning, match="factors are correlated: size and weight"):
        found = dis.mig(factors, factors, **options)
    assert list(found.settings["correlated"]) == ["size, weight"]
    assert found.value < 0.8
    assert found.conditional == pytest.approx(1, abs=0.01)
    with pytest.warns(UserWarning, match="factors are correlated"):
        mixed = dis.mig(np.column_stack([first + second, first - second, factors[:, 2]]), factors, **options)
    assert mixed.conditional is not None
    assert mixed.conditional < 0.75  # a code that mixes both is not excused


def test_factors_that_are_not_correlated_are_not_accused():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        factors = rng.integers(6, size=(400, 4))
        assert dis.prepare(rng.standard_normal((400, 2)), factors).correlated == {}
    assert dis.mig(PERFECT, FACTORS).conditional is None


def test_neighbours_and_bins_agree_on_a_clear_code():
    bins, near = (dis.mig(PERFECT, FACTORS, estimator=e) for e in ("bins", "neighbours"))
    assert near.value == pytest.approx(bins.value, abs=0.05)
    assert near.settings["estimator"] == "neighbours"
    assert dis.mig(RNG.standard_normal((300, 3)), FACTORS[:300], estimator="neighbours").value < 0.05


def test_codes_that_are_drawn_know_less_than_their_means():
    gaps = [dis.rmig(FACTORS, FACTORS, spread=np.full(FACTORS.shape, s)).value for s in (0.0, 0.1, 0.5, 2.0)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.95
    assert gaps[-1] < 0.15
    # A Gaussian at 0 or d with deviation s: the information of a binary input over a Gaussian channel, d / s = 2.
    bit = RNG.integers(2, size=(4000, 1))
    found = dis.rmig(2.0 * bit, bit, spread=np.ones((4000, 1)), bins=200)
    assert found.value * np.log(2) == pytest.approx(0.3370, abs=0.005)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"spread": np.ones((3000, 1))}, r"spread must be .*\(3000, 1\)"),
        ({"spread": -np.ones((3000, 2))}, "spread must be"),
        ({"kinds": ("ordinal", "round")}, "a kind is one of categorical"),
        ({"estimator": "guess"}, "estimator='guess'"),
        ({"prune": "some"}, "prune='some'"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"bootstrap": 1}, "bootstrap 0 or at least 2"),
        ({"groups": [0]}, "2 dims need 2 group labels"),
        ({"groups": {"a": [0, 5]}}, "group 'a' must hold some of dims 0 to 1"),
        ({"groups": {}}, "no groups"),
    ],
)
def test_bad_settings_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        dis.rmig(PERFECT, FACTORS, **options)
