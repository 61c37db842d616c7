"""Metrics that draw or train: parity with the reference libraries, and codes whose score is known."""

import numpy as np
import pytest

from latentlab.metrics import disentanglement as dis

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(5, size=(2000, 3))
PERFECT = FACTORS + 0.01 * RNG.standard_normal(FACTORS.shape)
NOISE = RNG.standard_normal((2000, 4))
TURN = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]


@pytest.mark.parametrize("regime", ["perfect6", "constdims", "noisy", "rotated", "duplicate", "random"])
class TestParity:
    """Within the bars of disentanglement_lib's and latent_quantization's own figures."""

    def test_factor_vae_and_beta_vae(self, oracle, regime):
        codes, factors = oracle[f"{regime}/z_train"], oracle[f"{regime}/f_train"]
        for metric, name in ((dis.factor_vae, "factor_vae"), (dis.beta_vae, "beta_vae")):
            theirs = oracle[f"{regime}/dlib/{name}_train_eval"][:, 1].mean()
            assert metric(codes, factors, prune=0.05).value == pytest.approx(theirs, abs=0.03), name

    def test_infomec(self, oracle, regime):
        codes, factors = oracle[f"{regime}/z_train"][:2000], oracle[f"{regime}/f_train"][:2000]
        found = dis.infomec(codes, factors, held_out=False, prune=0.05)
        for score, name in zip(found, ("infom", "infoc", "infoe"), strict=True):
            theirs = float(oracle[f"{regime}/latent_quantization_n2000/{name}"])
            assert score.value == pytest.approx(theirs, abs=0.005), name


@pytest.mark.slow
def test_dci_is_near_exact_boosting(oracle):
    off = []
    for regime in ("noisy", "rotated", "random"):
        train, test = ((oracle[f"{regime}/z_{p}"][:n], oracle[f"{regime}/f_{p}"][:n])
                       for p, n in (("train", 2000), ("test", 1000)))  # fmt: skip
        d, c, i = dis.dci(*train, test=test)
        names = ("disentanglement", "completeness")
        theirs = [float(oracle[f"{regime}/dlib_n2000/dci_{n}"]) for n in names]
        theirs.append(oracle[f"{regime}/dlib_n2000/dci_informativeness_train_test"][1])
        off.append(np.abs([s.value - t for s, t in zip((d, c, i), theirs, strict=True)]))
    assert (np.mean(off, 0) <= [0.02, 0.03, 0.03]).all()


def unit_and_copies(count):
    rng = np.random.default_rng(0)
    factors = rng.integers(10, size=(count, 3))
    unit = (factors - 4.5) / np.sqrt(99 / 12)
    return np.column_stack([unit, unit[:, :2] + 0.05 * rng.standard_normal((count, 2))]), factors


def test_trees_do_not_mind_the_order_of_dims():
    codes, factors = unit_and_copies(600)
    order = np.array([3, 1, 4, 0, 2])
    one, other = dis.dci(codes, factors), dis.dci(codes[:, order], factors)
    for a, b in zip(one, other, strict=True):
        assert a.value == pytest.approx(b.value, abs=1e-9)
    np.testing.assert_allclose(one[0].matrix[order], other[0].matrix, atol=1e-9)


def test_a_second_encoding_is_seen():
    """Two of three factors are coded twice, the copies with a little noise: half of the gain each."""
    disentangled, complete, _ = dis.dci(*unit_and_copies(600))
    assert disentangled.value == pytest.approx(1, abs=0.01)
    assert complete.value == pytest.approx(1 - 2 / 3 * np.log(2) / np.log(5), abs=0.02)


def test_perfect_codes_score_one_and_noise_chance():
    for metric in (dis.factor_vae, dis.beta_vae):
        assert metric(PERFECT, FACTORS).value == 1
        assert metric(NOISE, FACTORS).value == pytest.approx(1 / 3, abs=0.07)
    for found, level in ((dis.infomec(PERFECT, FACTORS), 0.97), (dis.snc_nk(PERFECT, FACTORS)[:1], 0.99)):
        assert all(s.value > level for s in found)


def test_rotation_is_seen_by_some_only():
    turned = PERFECT @ TURN
    assert dis.beta_vae(turned, FACTORS).value > 0.9
    assert dis.infomec(turned, FACTORS)[0].value < 0.6
    assert dis.snc_nk(turned, FACTORS)[0].value < 0.75


def test_knockout_finds_the_second_encoding():
    """The copy is spread over a rotation, so that no other dim tells the factor alone."""
    alone, hidden = (
        dis.snc_nk(codes, FACTORS)[1].value for codes in (PERFECT, np.column_stack([PERFECT, PERFECT @ TURN]))
    )
    assert alone > 0.5
    assert hidden < 0.1


def test_ease_of_reading():
    """A line is read by the smallest probe; the same values in shuffled order need a large one."""
    kinds = ["ordinal"] * 3
    order = np.array([3, 0, 4, 1, 2])
    easy, size = dis.dci_es(PERFECT, FACTORS, kinds=kinds)
    hard, wide = dis.dci_es(np.column_stack([order[FACTORS], NOISE]), FACTORS, kinds=kinds)
    assert easy.value > 0.99
    assert hard.value < 0.7
    assert hard.matrix is not None
    assert (np.diff(hard.matrix, axis=0) <= 0).all()
    assert (size.value, wide.value) == (1, pytest.approx(3 / 7))
    assert dis.dci_es(PERFECT, FACTORS, null=2)[0].null is None


def test_informativeness_is_judged_on_samples_not_learned_from():
    assert dis.dci(NOISE[:600], FACTORS[:600])[2].value < 0.3
    assert dis.dci(PERFECT[:600], FACTORS[:600])[2].value > 0.98


def test_continuous_and_circular_factors():
    angle, size = RNG.uniform(0, 360, 800), RNG.uniform(size=800)
    codes = np.column_stack([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle)), size])
    options = {"kinds": ("circular", "continuous"), "null": 0, "bootstrap": 0, "progress": False}
    found = dis.score(codes, np.column_stack([angle, size]), "all", **options)
    assert found["infoe"].value > 0.99
    assert found["dci_i"].value > 0.95
    assert found["factor_vae"].value > 0.95
    assert all(np.isfinite(s.value) for s in found.values())


def test_the_seed_decides():
    one, again, other = (dis.factor_vae(NOISE, FACTORS, seed=s).value for s in (0, 0, 1))
    assert one == again != other


@pytest.mark.slow
def test_few_samples_many_dims_and_rare_values():
    rare = np.column_stack([np.arange(60) == 0, np.arange(60) % 2, RNG.integers(9, size=60)]).astype(int)
    wide = RNG.standard_normal((60, 70))
    found = dis.score(wide, rare, "all", null=1, bootstrap=0, progress=False)
    assert all(np.isfinite(s.value) for s in found.values())


@pytest.mark.slow
def test_random_codes_are_at_chance_by_every_metric():
    """Intervals are of 95 %, so one of all metrics may miss."""
    found = dis.score(NOISE[:400], FACTORS[:400], "all", null=8, bootstrap=20, progress=False)
    levelled = {name: s.ci for name, s in found.items() if s.null is not None and s.ci is not None}
    assert len(levelled) >= 20
    missed = [name for name, (low, high) in levelled.items() if not low <= 0 <= high]
    assert len(missed) <= 1, missed


def test_dci_takes_ordinal_factors_of_fractions():
    scale = np.random.default_rng(0).choice(np.linspace(0.5, 1.0, 6), size=(300, 1))
    factors = np.concatenate([scale, scale[::-1]], 1)
    disentangled, _, informative = dis.dci(factors, factors, kinds=["ordinal"] * 2, null=0, bootstrap=0)
    assert disentangled.value > 0.95
    assert informative.value > 0.95
