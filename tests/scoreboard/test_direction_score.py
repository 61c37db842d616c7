"""Figures of directions whose effects are known exactly."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from latentlab.directions import Direction, Effect
from latentlab.factors import Factor, FactorTable
from latentlab.scoreboard.direction_score import (
    STRENGTHS,
    Sweep,
    Testbed,
    match_targets,
    score_directions,
    score_sweep,
    sweep,
)
from latentlab.scoreboard.oracle import Oracle
from latentlab.stats import interval

SPECS = (
    Factor("light", "continuous", -9, 9),
    Factor("speed", "continuous", -9, 9),
    Factor("hue", "circular", 0, 360),
)


def plain(mix=lambda z: z, samples: int = 40) -> Testbed:
    """Codes whose first two dims are light and speed, hue from the angle of the next two, seen through `mix`."""
    rng = np.random.default_rng(0)

    def read(codes: torch.Tensor) -> FactorTable:
        z = mix(codes.numpy())
        return FactorTable(np.column_stack([z[:, :2], np.rad2deg(np.arctan2(z[:, 3], z[:, 2])) % 360]), SPECS)

    codes = torch.from_numpy(rng.standard_normal((samples, 4)))
    reference = FactorTable(np.column_stack([rng.standard_normal((100_000, 2)), rng.uniform(0, 360, 100_000)]), SPECS)
    return Testbed(codes, lambda codes: codes, read, reference)


def one(testbed: Testbed, name: str, *vector: float, **options):
    unit = np.array(vector) / np.linalg.norm(vector)
    return score_directions(testbed, [Direction(name, unit, 1.0)], **options)[0]


def test_a_pure_direction_is_pure():
    score = one(plain(), "light", 1, 0, 0, 0, truth={"light": np.array([-2.0, 0, 0, 0])})
    assert score.reached
    assert score.strength == pytest.approx(1, rel=0.01)
    np.testing.assert_allclose(score.effect, [1, 0, 0], atol=0.01)
    assert score.precision == pytest.approx(1)
    assert score.leakage == pytest.approx(0, abs=1e-12)
    assert score.monotonicity == pytest.approx(1)
    assert score.linearity == pytest.approx(1)
    assert (score.low, score.high) == (-3, 3)
    assert score.locality == pytest.approx(1)
    assert score.alignment == pytest.approx(1)


def test_a_mixed_direction_leaks_as_much_as_it_mixes():
    score = one(plain(), "light", 1, 0.5, 0, 0)
    np.testing.assert_allclose(score.effect, [1, 0.5, 0], atol=0.01)
    assert score.precision == pytest.approx(1 / 1.5, rel=0.01)
    assert score.leakage == pytest.approx(0.25, rel=0.01)  # mean over two others
    assert score.ratio == pytest.approx(1 / 0.25, rel=0.01)
    assert score.locality == pytest.approx(1 / 1.5, rel=0.01)
    assert score.low == -score.high == pytest.approx(-0.6)  # beyond, speed moves by more than half a deviation


def test_moves_that_cancel_over_clips_are_in_the_ratio_alone():
    testbed = plain(lambda z: np.column_stack([z[:, 0], z[:, 1] + z[:, 0] * np.sign(z[:, 3]), z[:, 2:]]), samples=4000)
    score = one(testbed, "light", 1, 0, 0, 0)
    assert score.leakage < 0.02
    assert score.ratio == pytest.approx(2, rel=0.02)


def test_few_clips_show_no_leakage_by_chance():
    """Twelve clips that move this way and that: the square of the measured effect is zero on average."""
    squares = []
    for seed in range(60):
        sign = np.random.default_rng(seed).standard_normal(12)
        testbed = plain(lambda z, sign=sign: np.column_stack([z[:, 0], z[:, 1] + z[:, 0] * sign, z[:, 2:]]), samples=12)
        squares.append(one(testbed, "light", 1, 0, 0, 0).effect[1] ** 2)
    assert np.mean(squares) < 0.6 / 12  # 1 / 12 without
    assert np.median(squares) < 0.01


def test_hue_moves_along_its_angle():
    score = one(plain(samples=2000), "hue@90", 0, 0, 0, 1)
    assert score.precision == pytest.approx(1)
    assert score.monotonicity == pytest.approx(1)
    assert one(plain(samples=2000), "hue@0", 0, 0, 0, 1).effect[2] < 0.1


def test_the_wrong_way_is_seen_in_monotonicity():
    score = one(plain(), "light", -1, 0, 0, 0)
    assert score.precision == pytest.approx(1)
    assert score.monotonicity == pytest.approx(-1)


def test_a_direction_without_effect_scores_nothing():
    score = one(plain(lambda z: 0 * z + 1), "light", 1, 0, 0, 0)
    assert not score.reached
    assert score.failed
    assert (score.precision, score.ratio, score.locality, score.unread) == (0, 0, 0, 0)
    assert np.isnan(score.leakage)
    assert (score.monotonicity, score.linearity, score.low, score.high) == (0, 0, 0, 0)


def test_monotonicity_is_that_of_scipy():
    """Per clip, over the strengths that can be read."""
    rng = np.random.default_rng(0)
    tables = tuple(FactorTable(rng.standard_normal((30, 3)), SPECS) for _ in STRENGTHS)
    for table in tables:
        table.values[rng.random(30) < 0.2, 0] = np.nan
    seen = Sweep("light", STRENGTHS, tables)
    along = np.stack([table["light"] - seen.base["light"] for table in tables])
    known = np.isfinite(along)
    enough = known.sum(0) > 5.5
    theirs = [
        spearmanr(np.array(STRENGTHS)[k], z[k])[0] if e else 0.0
        for z, k, e in zip(along.T, known.T, enough, strict=True)
    ]
    factor_units = plain().factor_units
    assert score_sweep(factor_units, seen).monotonicity == pytest.approx(np.median(theirs))


def test_what_cannot_be_read_counts_as_no_move():
    testbed = plain(lambda z: np.where(np.abs(z[:, :1]) > 1e-9, np.nan, z))
    assert one(testbed, "light", 1, 0, 0, 0).monotonicity == 0


def test_a_factor_that_no_clip_shows_any_longer_is_a_failure_and_not_stillness():
    start = plain().codes.numpy()[:, 0]

    def hidden(share: float):
        """Moving light hides the speed of so many of the clips."""
        rows = np.arange(40) < 40 * share

        def mix(z):
            speed = np.where(rows & (abs(z[:, 0] - start) > 0.01), np.nan, z[:, 1]) if len(z) == 40 else z[:, 1]
            return np.column_stack([z[:, 0], speed, z[:, 2:]])

        return mix

    for share in (0.0, 0.5, 1.0):
        score = one(plain(hidden(share)), "light", 1, 0, 0, 0)
        assert score.unread == share
        assert score.failed is (share == 1)
        assert score.precision == pytest.approx(float(share < 1))
        assert np.isnan(score.effect[1]) == (share == 1)
    testbed = plain(hidden(1.0))
    assert match_targets(testbed, [Direction("a", np.eye(4)[0], 1.0)] * 2, ["light"])  # an answer, whichever it is


def test_strengths_pass_through_zero():
    with pytest.raises(ValueError, match="pass through 0"):
        sweep(plain(), Direction("light", np.ones(4) / 2, 1.0), (-1.0, 1.0))


def test_unlabelled_directions_find_their_targets_and_signs():
    testbed = plain(samples=500)
    rows = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [0.8, 0.6, 0, 0]], dtype=float)
    found = match_targets(
        testbed, [Direction(f"pc{i}", v, 1.0) for i, v in enumerate(rows)], ["light", "speed", "hue@0"]
    )
    assert found == {"light": (2, 1), "speed": (1, -1), "hue@0": (0, 1)}


@pytest.mark.parametrize(("mix", "most"), [(0.0, 0.02), (1.0, 0.05)])
def test_effect_on_the_oracle(mix, most):
    oracle = Oracle(mix=mix)
    codes, factors = oracle.draw(1000)
    testbed = Testbed(oracle.draw(60, seed=1)[0], lambda codes: codes, oracle.read, factors)
    truth = dict(zip(factors.names, oracle.truth(), strict=True))
    found = Effect().fit(codes, factors)
    scores = score_directions(testbed, [found[name] for name in factors.names], truth=truth)
    assert np.mean([s.leakage for s in scores]) < most
    assert min(s.alignment for s in scores) > 0.95
    assert min(s.monotonicity for s in scores) == pytest.approx(1)
    shuffled = Effect().fit(codes, factors[np.random.default_rng(0).permutation(1000)])
    null = score_directions(testbed, [shuffled[name] for name in factors.names], truth=truth)
    assert np.nanmean([s.precision for s in null]) < 0.3
    assert np.mean([s.alignment for s in null]) < 0.3


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = [low <= 3 <= high for _, low, high in (interval(rng.normal(3, 2, 5)) for _ in range(2000))]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    assert interval([4.0])[0] == 4.0
    assert interval([float("nan"), 1.0, 3.0])[0] == 2.0
    assert np.isnan(interval([])).all()
