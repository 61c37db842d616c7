"""Whether t is a t, and samples that belong together: frames of a clip are one observation."""

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.base import clone

from latentlab.directions import (
    LDA,
    ChannelRanking,
    Dual,
    Effect,
    LogisticNormal,
    MeanDifference,
    RidgeNormal,
    SVMNormal,
    stability,
)
from latentlab.directions.design import joined, read_groups
from latentlab.directions.evidence import split_groups

FINDERS = [
    Effect(), Dual(), RidgeNormal(), LogisticNormal(), SVMNormal(), LDA(), MeanDifference(), ChannelRanking(channels=3)
]  # fmt: skip


def name(finder) -> str:
    return type(finder).__name__


def judged(draw, trials: int, **options) -> tuple[np.ndarray, np.ndarray]:
    """t and p over trials of codes, labels and groups that have nothing to do with each other."""
    t, p = [], []
    for i in range(trials):
        codes, labels, groups = draw(np.random.default_rng([7, i]))
        found = Effect(random_state=i, **options).fit(codes, labels, groups)
        t.append(found.t_value_)
        p.append(found.p_)
    return np.ravel(t), np.ravel(p)


def independent(samples: int, dim: int, tails: float):
    """Codes and six labels; `tails` is of Student's t, below 2.5 hardly of finite variance."""

    def draw(rng: np.random.Generator):
        return rng.standard_t(tails, (samples, dim)), rng.standard_t(tails, (samples, 6)), None

    return draw


def clips(frames: str, dim: int = 16):
    """50 clips of 20 frames with labels by clip: frames equal up to noise, or a random walk from one to the next."""

    def draw(rng: np.random.Generator):
        codes = rng.standard_normal((50, 20, dim))
        codes = codes.cumsum(1) if frames == "walk" else codes[:, :1] + 0.1 * codes
        labels = np.repeat(rng.standard_normal((50, 2)), 20, axis=0)
        return codes.reshape(1000, dim), labels, np.repeat(np.arange(50), 20)

    return draw


@pytest.mark.slow
@pytest.mark.parametrize(("samples", "dim", "tails"), [(100, 64, 1e3), (100, 2, 1e3), (300, 16, 2.1), (60, 200, 3)])
def test_t_is_a_t_and_p_is_even_where_labels_say_nothing(samples, dim, tails):
    t, p = judged(independent(samples, dim, tails), 170)  # 1,020 directions: 5 % is known to 0.7 %
    assert 0.035 <= (abs(t) > 2).mean() <= 0.07
    assert t.std() == pytest.approx(1, abs=0.1)
    assert kstest(p, "uniform").pvalue > 1e-3
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("frames", ["copies", "walk"])
def test_frames_of_a_clip_are_one_observation(frames):
    t, p = judged(clips(frames), 300)
    assert 0.03 <= (abs(t) > 2).mean() <= 0.075
    assert kstest(p, "uniform").pvalue > 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone, _ = judged(lambda rng: (*clips(frames)(rng)[:2], None), 10, permutations=0)
    assert (abs(alone) > 2).mean() > 0.4  # what not being told of clips would say


def test_an_effect_between_clips_or_within_them_is_found_in_groups():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    for label in (np.repeat(rng.standard_normal(40), 10), np.tile(np.linspace(-1, 1, 10), 40)):
        codes = np.repeat(rng.standard_normal((40, 12)), 10, axis=0) + 0.3 * rng.standard_normal((400, 12))
        codes[:, 3] += 4 * label
        found = Effect().fit(codes, label, groups)
        assert found.directions_[0, 3] > 0.9
        assert found.t_value_[0] > 5
        assert found.p_[0] == 0.01


@pytest.mark.parametrize("finder", FINDERS, ids=name)
def test_copies_in_groups_find_what_the_samples_alone_find(finder):
    rng = np.random.default_rng(0)
    codes, label = rng.standard_normal((60, 12)), rng.standard_normal(60)
    codes[:, 2] += label
    finder = clone(finder).set_params(folds=0, permutations=0)
    once = finder.fit(codes, label).directions_
    rows = np.repeat(np.arange(60), 7)
    copies = clone(finder).fit(codes[rows], label[rows], rows).directions_
    if isinstance(finder, Dual | RidgeNormal):  # their ridge is chosen in parts instead of one by one
        assert (once * copies).sum() > 0.99
    else:
        np.testing.assert_allclose(copies, once, atol=2e-3)


def test_t_of_every_dim_counts_clips():
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.standard_normal((60, 3000)), 10, axis=0) + 0.1 * rng.standard_normal((600, 3000))
    label = np.repeat(rng.standard_normal(60), 10)
    t = Effect(folds=0).fit(codes, label, np.repeat(np.arange(60), 10)).t_by_dim_
    assert (abs(t) > 2).mean() == pytest.approx(0.055, abs=0.02)


@pytest.mark.parametrize("order", ["copies", "walk"])
def test_repeats_without_groups_are_told(order):
    codes, labels, groups = clips(order)(np.random.default_rng(0))
    if order == "copies":
        rows = np.random.default_rng(1).permutation(np.repeat(np.arange(0, 1000, 20), 4))  # in no order
        codes, labels, groups = codes[rows], labels[rows], groups[rows]
    with pytest.warns(UserWarning, match=r"150 of 200 codes repeat|each code is like the one before it"):
        Effect(permutations=0).fit(codes, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Effect(permutations=0).fit(codes, labels, groups)
        rng = np.random.default_rng(2)
        for samples in (30, 100, 1000):
            Effect(permutations=0).fit(rng.standard_normal((samples, 5)), rng.standard_normal((samples, 2)))


def test_parts_and_halves_tear_no_clip():
    groups = np.random.default_rng(0).integers(30, size=200)
    parts = split_groups(np.unique(groups, return_inverse=True)[1], 5, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(200))
    assert all(not set(groups[part]) & set(np.delete(groups, part)) for part in parts)
    rng = np.random.default_rng(0)  # labels by clip that say nothing: halves of clips agree by chance alone
    codes = np.repeat(rng.standard_normal((30, 40)), 10, axis=0)
    labels, clip = np.repeat(rng.standard_normal(30), 10), np.repeat(np.arange(30), 10)
    finder = Effect(folds=0, permutations=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torn = stability(finder, codes, labels)
    assert torn["factor0"] > 0.8
    assert stability(finder, codes, labels, groups=clip)["factor0"] < 0.5


def test_groups_are_labels_of_any_kind_and_bad_ones_are_told():
    assert read_groups(np.array(["b", "a", "b"], dtype=object), 3).tolist() == [1, 0, 1]
    assert read_groups(torch.tensor([5, 5, 2]), 3).tolist() == [1, 1, 0]
    assert joined(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1])).tolist() == [0, 0, 1, 1]
    for groups, said in (
        ([1, 2], r"one label for each of 3 samples, got shape \(2,\)"),
        ([1, np.nan, 2], "missing labels"),
        (["a", None, "b"], "missing labels"),
        (["a", "a", "a"], "all 3 samples belong to 'a'"),
    ):
        with pytest.raises(ValueError, match=said):
            read_groups(groups, 3)


def test_a_frame_names_factors_and_may_be_halved():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"pose": rng.integers(10, size=200), "light": rng.uniform(size=200)})
    codes = pd.DataFrame(table.to_numpy() + 0.01 * rng.standard_normal((200, 2)))
    assert Effect().fit(codes, table).names_ == ["pose", "light"]
    assert Effect().fit(codes, table.astype({"pose": "Int64"})).names_ == ["pose", "light"]
    assert set(stability(Effect(folds=0), codes, table)) == {"pose", "light"}
    clips = pd.Series(rng.integers(20, size=200).astype(str))
    assert len(np.unique(read_groups(clips, 200))) == 20
    assert Effect(folds=0).fit(codes, table["light"].iloc[::-1].sample(frac=1, random_state=0)).names_ == ["factor0"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"folds": -1}, "folds must be at least 2, or 0 for no t, R2 and p; got -1"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"folds": 2.5}, "folds must be at least 2"),
        ({"permutations": -3}, "permutations must be a whole number from 0 on, got -3"),
        ({"ridge": 1j}, "ridge must be a finite number from 0 on, or None for `shrinkage`; got 1j"),
        ({"ridge": float("nan")}, "ridge must be a finite number"),
        ({"ridge": -1.0}, "ridge must be a finite number"),
    ],
)
def test_settings_out_of_range_are_told(settings, said):
    with pytest.raises(ValueError, match=said):
        Effect(**settings).fit(np.random.default_rng(0).standard_normal((30, 4)), np.arange(30.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_codes_of_any_floating_dtype_with_and_without_gradient(dtype):
    rng = torch.Generator().manual_seed(0)
    codes = torch.randn(60, 3, generator=rng).to(dtype).requires_grad_()
    found = Effect(folds=0).fit(codes, codes[:, 1])
    assert found.directions_[0, 1] > 0.95
