"""How codes and factors are read: kinds, dims that do not count, correlated factors, drawn codes."""

import numpy as np
import pytest

from latentlab.factors import Factor, FactorTable
from latentlab.metrics import disentanglement as dis

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(3000, 2))
PERFECT = FACTORS + 0.01 * RNG.standard_normal(FACTORS.shape)


def test_angles_of_a_table_are_read_in_its_own_unit():
    hours = RNG.uniform(0, 12, 400)
    codes = np.stack([np.cos(hours * np.pi / 6), np.sin(hours * np.pi / 6)], 1)
    table = FactorTable(hours[:, None], (Factor("hour", "circular", 0, 12),))
    options = {"null": 0, "bootstrap": 0}
    told = dis.explicitness(codes, table, **options), dis.sap(codes, table, **options)
    degrees = [f(codes, 30 * hours[:, None], kinds=["circular"], **options) for f in (dis.explicitness, dis.sap)]
    assert [s.value for s in told] == [s.value for s in degrees]
    assert told[0].value > 0.99


def test_dims_that_do_not_count_are_named():
    codes = np.column_stack([PERFECT, np.ones(3000), 1e-3 * RNG.standard_normal(3000)])
    found = {prune: dis.modularity(codes, FACTORS, prune=prune) for prune in ("none", "constant", 0.05)}
    assert {p: s.settings["inactive"] for p, s in found.items()} == {"none": [], "constant": [2], 0.05: [2, 3]}
    assert found[0.05].value > 0.99
    assert found["none"].value < 0.9


def test_no_metric_sees_dims_that_do_not_count():
    """A copy of small scale, left out: every score is that of the code without it, and its rows are zero."""
    kept, codes = PERFECT[:600], np.column_stack([1e-3 * PERFECT[:600, ::-1], PERFECT[:600]])
    options = {"null": 0, "bootstrap": 0, "progress": False}
    alone, pruned = (dis.score(z, FACTORS[:600], "all", **options, prune=0.05) for z in (kept, codes))
    for name, found in pruned.items():
        assert found.value == pytest.approx(alone[name].value, abs=1e-12), name
        if found.matrix is not None and name != "dci_e":
            assert found.matrix.shape == (4, 2)
            assert not found.matrix[:2].any()
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1).reshape(-1, 2)
    for metric in (dis.flatness, dis.axis_alignment):
        assert metric(np.column_stack([grid, 0.01 * grid @ [[1, -1], [1, 1]]]), grid, prune=0.05).value > 0.999


@pytest.mark.parametrize("values", [2, 5, 32])
def test_a_code_of_few_values_is_as_good_as_its_factor(values):
    share = np.geomspace(1, 0.04, values)
    factors = np.random.default_rng(0).choice(values, (3000, 2), p=share / share.sum())
    assert dis.mig(factors, factors).value > 0.93
    assert dis.mig(factors, factors, bins=5).value > 0.93


def test_a_code_that_says_nothing_scores_nothing():
    for metric in (dis.mig, dis.jemmig, dis.modularity, dis.sap, dis.irs, dis.med):
        found = metric(np.ones((100, 3)), FACTORS[:100])
        assert found.value == 0, metric
        assert found.settings["inactive"] == [0, 1, 2]


def test_what_was_counted_is_what_is_recorded():
    few, truth = PERFECT[:200], FACTORS[:200]
    options = {"null": 6, "bootstrap": 7, "progress": False}
    found = dis.score(few, truth, ("mig", "factor_vae", "dci_s"), units=[0, 1], estimator="neighbours", **options)
    asked = {name: (s.settings["null"], s.settings["bootstrap"]) for name, s in found.items()}
    assert asked == {"mig": (6, 7), "factor_vae": (3, 5), "dci_s": (0, 7)}
    assert found["mig"].settings["estimator"] == "bins"


def test_several_correlated_factors_do_not_spoil_a_good_code():
    """A chain of three, each told by a dim of its own with a little noise."""
    rng = np.random.default_rng(0)
    first = rng.integers(5, size=4000)
    second, third = ((first + step * (rng.random(4000) < 0.3)) % 5 for step in (1, 2))
    factors = np.stack([first, second, third], 1)
    codes = factors + 0.15 * rng.standard_normal(factors.shape)
    with pytest.warns(UserWarning, match="correlated"):
        found = dis.score(codes, factors, ("mig", "modularity"), null=0, bootstrap=0, progress=False)
    with pytest.warns(UserWarning, match="correlated"):
        noise = dis.modularity(rng.standard_normal((4000, 6)), factors)
    assert found["mig"].value < 0.8
    assert all(s.conditional is not None and s.conditional > 0.9 for s in found.values())
    assert noise.conditional is not None
    assert noise.conditional == pytest.approx(noise.value, abs=0.35)


def test_correlated_factors_of_too_many_values_are_not_guessed_at():
    rng = np.random.default_rng(0)
    first = rng.integers(20, size=400)
    factors = np.stack([first, (first + rng.integers(4, size=400)) % 20], 1)
    with pytest.warns(UserWarning, match="400 samples are too few to tell factor0 and factor1"):
        found = dis.mig(rng.standard_normal((400, 2)), factors)
    assert found.conditional is not None
    assert np.isnan(found.conditional)
    assert "400 samples are too few" in found.settings["conditional"]


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


def test_many_factors_of_few_samples_are_not_accused():
    """Nine factors in twenty bins, 512 samples: 36 tables of 400 cells, whose 2 n I is no chi-square."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        data = dis.prepare(rng.standard_normal((512, 2)), rng.random((512, 9)))
        assert data.correlated == {}
    first = np.random.default_rng(0).random((512, 1))
    both = np.column_stack([first, first + 0.3 * np.random.default_rng(1).random((512, 1))])
    assert list(dis.prepare(np.ones((512, 1)), both, prune="none").correlated) == [(0, 1)]


def test_a_rare_attribute_is_seen():
    """2 % of the samples, 20 deviations apart in one dim: H(a | z) = 0, so its gap is 1 less what other dims tell."""
    rng = np.random.default_rng(0)
    rare = (rng.random(5000) < 0.02).astype(int)
    codes = np.column_stack([rare + 0.05 * rng.standard_normal(5000), rng.standard_normal((5000, 2))])
    assert dis.mig(codes, rare[:, None]).value > 0.95


def test_bins_of_one_sample_are_refused():
    with pytest.raises(ValueError, match=r"300 bins for 300 samples.*take 15 bins or so"):
        dis.mig(PERFECT[:300], FACTORS[:300], bins=300)


def test_columns_of_a_data_frame_name_the_factors():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FACTORS, columns=["\ufeffpose", "light"])
    for table in (frame, frame.astype("Int64"), frame.astype({"light": "Int64"})):
        found = dis.mig(PERFECT, table)
        assert list(found.per_factor) == ["pose", "light"]
        assert found.value == dis.mig(PERFECT, FACTORS).value
    missing = frame.astype("Int64")
    missing.iloc[0, 0] = pandas.NA
    with pytest.raises(ValueError, match="hold 1 values that are NaN"):
        dis.mig(PERFECT, missing)
    with pytest.raises(ValueError, match="column 'light' holds 'red'"):
        dis.mig(PERFECT, frame.assign(light="red"))


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
        ({"prune": -1}, "prune=-1"),
        ({"bins": 2.5}, "bins=2.5"),
        ({"names": ("size", "size")}, "different names"),
        ({"kinds": ("ordinal",) * 2, "parity": "disentanglement_lib"}, "leave out `kinds`"),
        ({"neighbours": 0}, "neighbours=0"),
        ({"bootstrap": 1}, "bootstrap 0 or at least 2"),
        ({"units": [0]}, "2 dims need 2 group labels"),
        ({"units": {"a": [0, 5]}}, "group 'a' must hold some of dims 0 to 1"),
        ({"units": {}}, "no groups"),
    ],
)
def test_bad_settings_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        dis.rmig(PERFECT, FACTORS, **options)
