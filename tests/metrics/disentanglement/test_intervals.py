"""Null levels, adjusted scores and intervals: what endless samples would score, and rows that belong together."""

import numpy as np
import pytest

from latentlab.metrics import disentanglement as dis
from latentlab.metrics.disentanglement.counts import mutual_information
from latentlab.metrics.disentanglement.groups import predict_folds
from latentlab.metrics.disentanglement.rows import draw_rows, folds, group_rows, shuffle

QUICK = ("mig", "mig_sup", "dci_mig", "jemmig", "modularity", "med", "sap", "irs")
OPTIONS = {"null": 10, "bootstrap": 30, "progress": False}


def world(count: int, seed: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Two factors mixed by a turn of 30 degrees, one alone, all noisy, beside two dims of noise."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(8, size=(count, 3))
    unit = (factors - 3.5) / np.sqrt(63 / 12)
    turn = np.array([[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]])
    unit[:, :2] = unit[:, :2] @ turn
    return np.column_stack([unit + noise * rng.standard_normal(unit.shape), rng.standard_normal((count, 2))]), factors


def test_information_without_bias_is_that_of_endless_samples():
    rng = np.random.default_rng(0)
    rows, labels = rng.integers(20, size=(200, 1000)), rng.integers(10, size=1000)
    plain, unbiased = (mutual_information(rows, labels, unbiased=u).mean() for u in (False, True))
    assert plain == pytest.approx(19 * 9 / 2000, rel=0.1)
    assert unbiased == pytest.approx(0, abs=0.01)


@pytest.mark.slow
def test_intervals_hold_what_endless_samples_score():
    """Of six sets of 600 samples; without a correction those of most metrics hold it in none."""
    truth = dis.score(*world(40_000, 99), QUICK, null=3, bootstrap=0, progress=False)
    tables = [dis.score(*world(600, seed), QUICK, **OPTIONS) for seed in range(6)]
    for name in QUICK:
        inside = [t[name].ci[0] <= truth[name].adjusted <= t[name].ci[1] for t in tables]
        assert sum(inside) >= 5, name
        spread = np.std([t[name].adjusted for t in tables], ddof=1)
        assert np.mean([t[name].ci[1] - t[name].ci[0] for t in tables]) / 2 / 1.96 < 4 * spread, name


@pytest.mark.slow
def test_intervals_of_codes_that_know_nothing_are_as_wide_as_chance():
    rng = np.random.default_rng(0)
    tables = []
    for _ in range(12):
        tables.append(dis.score(rng.standard_normal((500, 5)), rng.integers(6, size=(500, 3)), QUICK, **OPTIONS))
    for name in QUICK:
        halves = np.mean([t[name].ci[1] - t[name].ci[0] for t in tables]) / 2 / 1.96
        spread = np.std([t[name].adjusted for t in tables], ddof=1)
        assert 0.5 < halves / spread < 2, name  # the spread of twelve is known to a fifth, twice that is allowed
        assert sum(t[name].ci[0] <= 0 <= t[name].ci[1] for t in tables) >= 10, name


def test_raw_null_and_adjusted_are_told_apart():
    codes, factors = world(1000, 0)
    found = dis.med(codes, factors, null=10, bootstrap=20)
    assert found.value == dis.med(codes, factors).value < 0.4  # shares of next to nothing weigh, as published
    assert found.adjusted is not None
    assert found.adjusted > 0.6
    assert found.p == pytest.approx(1 / 11)
    assert dis.med(codes, factors).p is None


CLIPS, FRAMES = 50, 20
CLIP = np.repeat(np.arange(CLIPS), FRAMES)


def clips(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a clip that hardly differ, labels at random for each clip."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(rng.standard_normal((CLIPS, 4)), FRAMES, 0) + 0.01 * rng.standard_normal((CLIPS * FRAMES, 4))
    return codes, np.repeat(rng.integers(4, size=(CLIPS, 2)), FRAMES, 0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:factors are correlated")  # as the frames of a clip taken for strangers are
@pytest.mark.parametrize("name", ["mig", "sap"])
def test_frames_of_clips_with_random_labels_are_chance(name):
    """p is uniform where the frames are told to belong together; taken for strangers they are always significant."""
    metric = getattr(dis, name)
    p = np.sort([metric(*clips(seed), groups=CLIP, null=39).p for seed in range(40)])
    assert np.abs(p - (np.arange(40) + 0.5) / 40).max() < 1.36 / np.sqrt(40)  # Kolmogorov and Smirnov, 5 %
    assert max(metric(*clips(seed), null=19).p for seed in range(3)) == pytest.approx(1 / 20)


@pytest.mark.slow
def test_intervals_of_grouped_rows_hold_chance():
    for seed in range(5):
        found = dis.score(*clips(seed), ("mig", "sap", "med"), groups=CLIP, **OPTIONS)
        assert found["mig"].settings["groups"] == CLIPS
        assert all(s.ci[0] <= 0.02 and s.ci[1] >= -0.02 for s in found.values())


def test_what_is_learned_from_grouped_rows_is_judged_on_other_groups():
    codes, factors = clips(0)
    alone, grouped = (dis.explicitness(codes, factors, groups=g).value for g in (None, CLIP))
    assert alone > 0.65 > 0.6 > grouped
    trees = [dis.dci(codes, factors, groups=g)[2].value for g in (None, CLIP)]
    assert trees[0] > 0.9 > 0.5 > trees[1]
    target = np.repeat(np.random.default_rng(1).standard_normal((CLIPS, 1)), FRAMES, 0)
    wide = np.repeat(np.random.default_rng(2).standard_normal((CLIPS, 40)), FRAMES, 0)
    one, other = (np.corrcoef(predict_folds(wide, target, g)[:, 0], target[:, 0])[0, 1] for g in (None, CLIP))
    assert one > 0.8 > 0.5 > other  # forty dims of fifty clips tell four fifths of anything


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, size=30)
    groups = group_rows(rng.permutation(np.repeat(np.arange(30), sizes)), sizes.sum())
    rows = draw_rows(0.5, len(groups), groups, rng)
    assert not set(groups[rows]) & set(np.delete(groups, rows))
    assert len(set(groups[rows])) == 15
    one, two = shuffle(len(groups), groups, rng)
    assert sorted(one) == sorted(two) == [*range(len(groups))]
    for order in (one, two):
        assert (np.diff(groups[order]) != 0).sum() == 29  # each group is a run
    fold = folds(len(groups), 3, groups)
    assert all(len(set(fold[groups == g])) == 1 for g in range(30))


def test_groups_that_cannot_be_are_told():
    codes, factors = world(60, 0)
    with pytest.raises(ValueError, match=r"each of the 60 rows, got shape \(59,\)"):
        dis.mig(codes, factors, groups=np.zeros(59))
    with pytest.raises(ValueError, match="3 groups are too few"):
        dis.mig(codes, factors, groups=np.arange(60) % 3)
    with pytest.warns(FutureWarning, match="groups of dims are `units` now"):
        old = dis.mig(codes, factors, groups=[0, 0, 1, 1, 2], bins=4)
    assert old.value == dis.mig(codes, factors, units=[0, 0, 1, 1, 2], bins=4).value
