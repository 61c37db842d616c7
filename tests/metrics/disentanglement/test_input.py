"""What users bring: other precisions, units and shapes, codes that hold nothing, and what cannot be scored."""

import numpy as np
import pytest
import torch

from latentlab.factors import Factor, FactorTable
from latentlab.metrics import disentanglement as dis
from latentlab.metrics.disentanglement.score import METRICS

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(400, 2))
CODES = FACTORS + 0.01 * RNG.standard_normal(FACTORS.shape)
ANGLE = RNG.uniform(0, 360, 400)
ONCE = {"null": 0, "bootstrap": 0, "progress": False}


def test_every_precision_of_torch_is_read():
    expected = dis.mig(CODES, FACTORS).value
    assert dis.mig(torch.tensor(CODES, requires_grad=True), torch.tensor(FACTORS)).value == expected
    for half in (torch.float16, torch.bfloat16):
        assert dis.mig(torch.tensor(FACTORS).to(half), FACTORS).value == dis.mig(FACTORS, FACTORS).value


@pytest.mark.parametrize("prune", ["constant", "none"])
def test_a_constant_code_knows_nothing_whatever_its_value(prune):
    """The mean of many 0.1 is not 0.1: what rounding leaves must not be scored."""
    found = dis.score(np.full((300, 3), 0.1), FACTORS[:300], "all", **ONCE | {"null": 2}, prune=prune)
    without_level = {"explicitness", "dci_i", "dci_e", "dci_s", "factor_vae", "beta_vae", "snc"}
    for name, s in found.items():
        if name not in without_level:
            assert s.value == 0, name
        assert s.adjusted is None or abs(s.adjusted) < 0.1, name


def test_dims_that_never_change_have_no_neighbours():
    codes = np.column_stack([CODES, np.full((400, 4), 0.1)])
    for found in (dis.mig(codes, FACTORS, prune="none", estimator="neighbours"),
                  dis.infomec(codes, FACTORS, prune="none")[1]):  # fmt: skip
        assert found.matrix is not None
        assert not found.matrix[2:].any()


@pytest.mark.parametrize("size", [1e-7, 1e7])
def test_units_of_the_code_do_not_matter(size):
    for name in ("mig", "sap", "irs", "med", "explicitness"):
        metric = getattr(dis, name)
        assert metric(size * CODES, FACTORS).value == pytest.approx(metric(CODES, FACTORS).value, abs=1e-6), name


def test_bins_of_equal_width_of_codes_that_hardly_differ():
    jitter = np.where(RNG.random(400) > 0.5, 0.1, np.nextafter(0.1, 1))
    codes = np.column_stack([CODES, jitter])
    assert dis.mig(codes, FACTORS, parity="disentanglement_lib").value > 0.9


def test_angles_may_go_round_and_begin_anywhere():
    def gap(f):
        return dis.mig(ANGLE[:, None], f[:, None], kinds=["circular"]).value

    assert gap(ANGLE) == gap(ANGLE - 180) == pytest.approx(gap(ANGLE + 360 * RNG.integers(5, size=400)), abs=1e-9)
    ends = np.tile([0.0, 120.0, 240.0, 360.0], 25)  # the last is the first
    assert dis.prepare(CODES[:100], ends[:, None], kinds=["circular"]).labels.max() == 2


def test_kinds_given_for_a_table_keep_its_unit():
    turn = np.stack([np.cos(np.deg2rad(ANGLE)), np.sin(np.deg2rad(ANGLE))], 1)
    table = FactorTable(np.deg2rad(ANGLE)[:, None], (Factor("phase", "continuous", 0, 2 * np.pi),))
    told = dis.sap(turn[:, :1], table, kinds=["circular"]).value
    assert told == pytest.approx(dis.sap(turn[:, :1], ANGLE[:, None], kinds=["circular"]).value)
    assert told > 0.9


def test_test_data_are_read_in_the_same_unit():
    degrees = ANGLE.round()[:, None]
    half = (Factor("half degrees", "circular", 0, 720),)
    tests = (FactorTable(2 * f, half) for f in (degrees, degrees - 360))
    found = [dis.sap(degrees, FactorTable(2 * degrees, half), test=(degrees, test)).value for test in tests]
    assert found[0] == found[1] > 0.1


def test_integers_that_hardly_repeat_are_no_categories():
    every = np.column_stack([np.arange(60), np.arange(60) // 2])
    assert dis.prepare(RNG.standard_normal((60, 2)), every).kinds == ("continuous", "categorical")


def test_nan_and_minus_zero_are_not_shown():
    bit = np.arange(100)[:, None] % 2
    table = str(dis.score(1.0 * bit, bit, ("modularity", "med"), null=2, bootstrap=2, progress=False))
    assert "nan to nan" not in table
    assert "0.000" in str(dis.Table(mig=dis.Score("mig", -1e-9, adjusted=-1e-9, ci=(-1e-9, 0.1))))
    assert "-0.000" not in str(dis.Table(mig=dis.Score("mig", -1e-9, adjusted=-1e-9, ci=(-1e-9, 0.1))))


@pytest.mark.parametrize(
    ("codes", "factors", "options", "match"),
    [
        (CODES + 0j, FACTORS, {}, "codes must be real numbers, got complex128"),
        (CODES.astype(str), FACTORS, {}, "codes must be real numbers"),
        (CODES[:, 0], FACTORS, {}, r"codes\[:, None\]"),
        (CODES.reshape(400, 1, 2), FACTORS, {}, "codes.reshape"),
        (CODES, FACTORS[:, 0], {}, r"f\[:, None\]"),
        (CODES, FACTORS[:, :0], {}, "no factors"),
        (CODES, FACTORS + 2**60, {}, "integers beyond 2"),
        (1e300 * CODES, FACTORS, {}, r"codes reach 3.\d+e\+300"),
        (CODES, 1e300 * CODES, {}, "factors reach"),
        (CODES, FACTORS, {"null": 2.5}, "null=2.5"),
        (CODES, FACTORS, {"null": "3"}, "null='3'"),
        (CODES, FACTORS, {"seed": -1}, "seed=-1"),
        (CODES, FACTORS, {"spread": np.full((400, 2), np.inf)}, "finite"),
        (CODES, FACTORS, {"units": {"a": [0.7]}}, r"whole numbers, or a mask of all 2; got \[0.7\]"),
        (CODES, FACTORS, {"units": {1: [0], "1": [1]}}, "different names"),
    ],
)
def test_bad_input_is_told_with_a_way_out(codes, factors, options, match):
    with pytest.raises(ValueError, match=match):
        dis.rmig(codes, factors, **options)


def test_a_test_set_must_be_a_pair_of_the_same_dims():
    with pytest.raises(ValueError, match="test must be a pair"):
        dis.dci(CODES, FACTORS, test=CODES)
    with pytest.raises(ValueError, match=r"test codes \(400, 4\)"):
        dis.sap(CODES, FACTORS, test=(np.tile(CODES, 2), FACTORS))


def test_no_metrics_are_no_question():
    with pytest.raises(ValueError, match=f"no metrics asked for; there are {', '.join(METRICS)}"):
        dis.score(CODES, FACTORS, ())
