"""Disentanglement metrics: codes whose score is known, the reference library's own numbers, and bad input."""

import numpy as np
import pytest
import torch

from latentlab.factors import Factor, FactorTable
from latentlab.metrics import disentanglement as dis
from latentlab.metrics.disentanglement.dci import forests
from latentlab.metrics.disentanglement.score import CORE

REGIMES = ("perfect6", "constdims", "noisy", "rotated")
RNG = np.random.default_rng(0)
FACTORS = RNG.integers(5, size=(6000, 3))
PERFECT = FACTORS + 0.01 * RNG.standard_normal(FACTORS.shape)
NOISE = RNG.standard_normal((6000, 4))


@pytest.mark.parametrize("regime", REGIMES)
class TestParity:
    """Equal to disentanglement_lib to nine digits where it is deterministic."""

    def test_mutual_information_and_gaps(self, oracle, regime):
        codes, factors = oracle[f"{regime}/z_train"], oracle[f"{regime}/f_train"]
        found = dis.mig(codes, factors, parity="disentanglement_lib")
        np.testing.assert_allclose(found.matrix, oracle[f"{regime}/dlib/mi_matrix"], atol=1e-9)
        np.testing.assert_allclose(found.value, oracle[f"{regime}/dlib/mig"], atol=1e-9)
        np.testing.assert_allclose(list(found.per_factor.values()), oracle[f"{regime}/dlib/mig_per_factor"], atol=1e-9)

    def test_modularity_sap_and_irs(self, oracle, regime):
        codes, factors = oracle[f"{regime}/z_train"], oracle[f"{regime}/f_train"]
        same = {"parity": "disentanglement_lib"}
        assert dis.modularity(codes, factors, **same).value == pytest.approx(
            float(oracle[f"{regime}/dlib/modularity"]), abs=1e-9
        )
        kinds = ["ordinal", "continuous", "categorical"] * 2  # parity takes no notice
        specs = tuple(Factor(f"f{k}", kind, 0, 1) for k, kind in enumerate(kinds))
        found = dis.score(codes, FactorTable(factors, specs), ("mig", "modularity", "sap", "irs"), null=0, bootstrap=0,
                          progress=False, **same)  # fmt: skip
        np.testing.assert_allclose(found["sap"].matrix, oracle[f"{regime}/dlib/sap_continuous_matrix"], atol=1e-9)
        for name, theirs in (("mig", "mig"), ("modularity", "modularity"), ("sap", "sap_continuous"), ("irs", "irs")):
            assert found[name].value == pytest.approx(float(oracle[f"{regime}/dlib/{theirs}"]), abs=1e-9), name


def test_robustness_in_parity_cuts_factors_as_the_reference_does():
    factors = np.random.default_rng(0).integers(32, size=(2000, 2))
    codes = factors + np.random.default_rng(1).standard_normal((2000, 2))
    away = np.abs(codes - codes.mean(0)).max(0)
    best = np.zeros(2)
    for factor in factors.T:
        cut = np.digitize(factor, np.histogram(factor, 20)[1][:-1])
        far = [np.quantile(np.abs(z - z.mean(0)), 0.99, axis=0) for z in (codes[cut == v] for v in np.unique(cut))]
        best = np.maximum(best, 1 - np.mean(far, 0) / away)
    expected = float(np.average(best, weights=away))
    assert dis.irs(codes, factors, parity="disentanglement_lib").value == pytest.approx(expected, abs=1e-9)
    assert abs(dis.irs(codes, factors).value - expected) > 0.01


def test_sap_by_support_vectors_is_the_reference_s(oracle):
    train, test = ((oracle[f"perfect6/z_{part}"], oracle[f"perfect6/f_{part}"]) for part in ("train", "test"))
    found = dis.sap(*train, test=test, parity="disentanglement_lib")
    assert found.value == pytest.approx(float(oracle["perfect6/dlib/sap"]), abs=2e-3)


def test_support_vectors_are_judged_by_the_labels_they_learned():
    """A test set of one value alone is numbered as in training, and a value never seen is never right."""
    codes, large = PERFECT[:, :1], (FACTORS[:, :1] > 1).astype(float)
    learn, judge = slice(0, 300), slice(300, 600)
    alike = 300 + np.flatnonzero(large[300:, 0])[:200]
    for rows, truth, expected in (
        (judge, large[judge], 1),
        (alike, np.ones((200, 1)), 1),
        (alike, np.full((200, 1), 2), 0),
    ):
        assert dis.sap(codes[learn], large[learn], test=(codes[rows], truth)).value == expected
    kinds = ["continuous"]
    one, other = (dis.sap(codes[learn], codes[learn], kinds=kinds, bins=2, test=(codes[rows], codes[rows])).value
                  for rows in (judge, alike))  # fmt: skip
    assert one > 0.8
    assert other > 0.7


@pytest.mark.parametrize("name", ["mig", "mig_sup", "dci_mig", "modularity", "med", "sap", "irs", "explicitness"])
def test_a_perfect_code_scores_one(name):
    kinds = ["ordinal"] * 3
    assert getattr(dis, name)(PERFECT, FACTORS, kinds=kinds, binning="width").value > 0.95


def test_trees_find_a_perfect_code_and_its_duplicate():
    few, truth = PERFECT[:1500], FACTORS[:1500]
    d, c, _ = dis.dci(few, truth)
    assert (d.value, c.value) == (pytest.approx(1, abs=0.03), pytest.approx(1, abs=0.03))
    d, c, _ = dis.dci(np.concatenate([few, few], 1), truth)
    assert d.value == pytest.approx(1, abs=0.03)
    assert c.value == pytest.approx(1 - np.log(2) / np.log(6), abs=0.03)  # two equal dims out of six


def test_gains_rank_dims_as_permuting_them_does():
    """The gains are private to scikit-learn; permutation importance is not."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.inspection import permutation_importance

    codes = RNG.standard_normal((800, 4))
    target = 2 * codes[:, 2] + 0.7 * codes[:, 0]
    data = dis.prepare(codes, target[:, None])
    model = HistGradientBoostingRegressor(max_iter=50, max_depth=3).fit(codes, target)
    loss = permutation_importance(model, codes, target, n_repeats=3, random_state=0).importances_mean
    assert list(np.argsort(forests(data, data)[0][:, 0])[-2:]) == list(np.argsort(loss)[-2:]) == [0, 2]


def test_a_duplicate_has_no_gap_and_a_rotation_no_alignment():
    turn = np.array([[1, -1], [1, 1]]) / np.sqrt(2)  # 45 degrees: both dims tell as much of both factors
    assert dis.mig(np.concatenate([PERFECT, PERFECT], 1), FACTORS).value < 0.01
    assert dis.dci_mig(np.concatenate([PERFECT, PERFECT], 1), FACTORS, binning="width").value > 0.95
    assert dis.mig(PERFECT[:, :2] @ turn, FACTORS[:, :2]).value < 0.05
    assert dis.explicitness(PERFECT[:, :2] @ turn, FACTORS[:, :2]).value > 0.95


def test_chance_is_told_apart_from_knowledge():
    """Codes that know nothing: the interval of every adjusted score holds 0, though some raw scores are far from it."""
    scores = dis.score(NOISE, FACTORS, ("mig", "mig_sup", "dci_mig", "jemmig", "modularity", "med", "sap", "irs"),
                       null=20, bootstrap=60, progress=False)  # fmt: skip
    assert scores["modularity"].value > 0.25
    for name, found in scores.items():
        assert found.ci is not None
        assert found.ci[0] <= 0 <= found.ci[1], name
    known = dis.score(PERFECT, FACTORS, ("mig",), null=5, bootstrap=20, progress=False)["mig"]
    assert known.ci is not None
    assert known.ci[0] > 0.9


def test_the_core_set_on_mixed_kinds_of_factors():
    angle = RNG.uniform(0, 360, 600)
    shape, light = RNG.integers(3, size=600), RNG.uniform(0.5, 1, 600)
    specs = (
        Factor("shape", "categorical", 0, 2), Factor("hue", "circular", 0, 360), Factor("light", "continuous", 0.5, 1)
    )  # fmt: skip
    x, y = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    codes = np.stack([shape + 0.1 * RNG.standard_normal(600), x, y, light, np.zeros(600)], 1)
    scores = dis.score(torch.as_tensor(codes), FactorTable(np.stack([shape, angle, light], 1), specs),
                       null=2, bootstrap=4, progress=False)  # fmt: skip
    assert tuple(scores) == CORE
    assert scores["mig"].per_factor.keys() == {"shape", "hue", "light"}
    assert scores["mig"].settings["active"] == 4
    assert scores["sap"].per_factor["light"] > 0.9
    assert all(np.isfinite(s.value) for s in scores.values())
    assert scores["dci_d"].value > 0.9


def test_the_same_seed_gives_the_same_answer():
    a, b = (dis.mig(NOISE, FACTORS, null=5, bootstrap=5, seed=3) for _ in range(2))
    assert (a.null, a.ci) == (b.null, b.ci)


@pytest.mark.parametrize(
    ("codes", "factors", "options", "match"),
    [
        (NOISE[:40], FACTORS[:40], {}, "40 samples are too few"),
        (NOISE, FACTORS[:100], {}, "of the same samples"),
        (np.where(NOISE > 3, np.nan, NOISE), FACTORS, {}, "NaN or infinite"),
        (NOISE, FACTORS * 0, {}, "factor 'factor0' is always 0"),
        (NOISE, FACTORS, {"bins": 1}, "bins=1"),
        (NOISE, FACTORS, {"parity": "other"}, "unknown parity 'other'"),
    ],
)
def test_bad_input_is_named(codes, factors, options, match):
    with pytest.raises(ValueError, match=match):
        dis.mig(codes, factors, **options)


def test_an_unknown_metric_is_named():
    with pytest.raises(ValueError, match="unknown metrics migg; there are mig"):
        dis.score(NOISE, FACTORS, "migg")
    with pytest.raises(ValueError, match=r"udr is a function of its own, udr\(...\)"):
        dis.score(NOISE, FACTORS, "udr")


def test_names_may_be_an_array_and_labels_may_not_be_text():
    assert [*dis.mig(PERFECT, FACTORS, names=np.array(["x", "y", "z"])).per_factor] == ["x", "y", "z"]
    with pytest.raises(ValueError, match="factors must be numbers"):
        dis.mig(PERFECT, FACTORS.astype(str))


def test_more_dims_than_samples_and_one_dim():
    wide = np.random.default_rng(0).standard_normal((60, 200))
    assert np.isfinite(dis.mig(wide, FACTORS[:60]).value)
    assert dis.mig(PERFECT[:, :1], FACTORS[:, :1]).value > 0.9
