"""The manipulation network on codes where the effect of a factor depends on another."""

import numpy as np
import pytest
import torch

from latentlab.directions import Direction, Effect
from latentlab.directions.manipulate import Manipulator
from latentlab.factors import Factor, FactorTable
from latentlab.scoreboard.direction_score import Testbed, score_directions

SPECS = (
    Factor("light", "continuous", 0.5, 1.0),
    Factor("hue", "circular", 0, 360),
    Factor("shape", "categorical", 0, 1, labels=("disc", "star")),
)
TURN = np.linalg.qr(np.random.default_rng(9).standard_normal((12, 12)))[0]


def draw(samples: int, seed: int = 0, noise: float = 0.02) -> tuple[torch.Tensor, FactorTable]:
    """A colour of so much light; the shape changes the sign of what the light does to a third dim."""
    rng = np.random.default_rng([seed, 3])
    light, hue = rng.uniform(0.5, 1, samples), rng.uniform(0, 360, samples)
    shape = rng.integers(2, size=samples)
    codes = noise * rng.standard_normal((samples, 12))
    codes[:, 0] += light * np.cos(np.deg2rad(hue))
    codes[:, 1] += light * np.sin(np.deg2rad(hue))
    codes[:, 2] += 2.0 * shape - 1
    codes[:, 4:] += 0.3 * rng.standard_normal((samples, 8))  # what no factor tells
    return torch.from_numpy(codes @ TURN), FactorTable(np.stack([light, hue, shape], 1), SPECS)


def read(codes: torch.Tensor) -> FactorTable:
    z = codes.numpy() @ TURN.T
    hue = np.rad2deg(np.arctan2(z[:, 1], z[:, 0])) % 360
    return FactorTable(np.stack([np.hypot(z[:, 0], z[:, 1]), hue, (z[:, 2] > 0).astype(float)], 1), SPECS)


@pytest.fixture(scope="module")
def learned():
    return Manipulator(steps=1500, width=64).fit(*draw(2000))


def test_it_moves_what_no_direction_can(learned):
    """More light pushes a colour outward, whichever way that is; one direction for all cannot."""
    codes, table = draw(2000)
    testbed = Testbed(draw(100, seed=1)[0], lambda codes: codes, read, table)
    dummy = Direction("light", np.zeros(12), 1.0)
    strengths = (-1.0, -0.5, 0.0, 0.5, 1.0)
    ours = score_directions(
        testbed, [dummy], strengths=strengths, move=lambda codes, direction, s: learned.edit(codes, direction.name, s)
    )[0]
    linear = score_directions(testbed, [Effect(folds=0, permutations=0).fit(codes, table)["light"]])[0]
    assert ours.monotonicity == pytest.approx(1)
    assert ours.precision > 0.9
    assert ours.ratio > 5 * linear.ratio
    assert learned.error_[1] < learned.error_[0]
    assert learned.read_error_[1] < 0.5 * learned.read_error_[0]


def test_a_hue_turns_to_the_angle_and_stays(learned):
    codes, _ = draw(50, seed=2)
    moved = read(learned.edit(codes, "hue@90", 50.0))
    np.testing.assert_allclose(moved["hue"], 90, atol=12)
    np.testing.assert_allclose(moved["light"], read(codes)["light"], atol=0.12)


def test_a_category_changes_and_the_rest_is_kept(learned):
    codes, _ = draw(50, seed=2)
    moved = learned.edit(codes, "shape=star", 10.0)
    assert (read(moved)["shape"] == 1).all()
    unseen = (moved - codes).numpy() @ TURN.T[:, 4:]
    assert np.abs(unseen).max() < 0.1  # what no factor tells stays
    torch.testing.assert_close(learned.edit(codes, "shape=star", 0.0), codes, atol=1e-5, rtol=0)


def test_linear_codes_give_the_linear_edit():
    rng = np.random.default_rng(0)
    values = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 1500)
    specs = (Factor("a", "continuous", -9, 9), Factor("b", "continuous", -9, 9))
    rows = np.linalg.qr(rng.standard_normal((6, 2)))[0].T
    codes = torch.from_numpy(values @ rows + 0.01 * rng.standard_normal((1500, 6)))
    found = Manipulator(steps=100, ridge=1e-6).fit(codes, FactorTable(values, specs))
    held = (found.edit(codes[:20], "a", 1.0) - codes[:20]).numpy() @ rows.T
    np.testing.assert_allclose(held, np.array([[1.0, 0.0]] * 20) * values.std(0), atol=0.06)
    free = (found.edit(codes[:20], "a", 1.0, hold=[]) - codes[:20]).numpy() @ rows.T
    np.testing.assert_allclose(free, np.array([[1.0, 0.8]] * 20) * values.std(0), atol=0.08)


def test_the_same_seed_learns_the_same():
    codes, table = draw(100)
    first, again = (Manipulator(steps=60, width=8).fit(codes, table).edit(codes, "light", 1.0) for _ in range(2))
    assert torch.equal(first, again)


def test_known_factors_are_used(learned):
    codes, table = draw(20, seed=4)
    assert not torch.equal(learned.edit(codes, "light", 1.0, factors=table), learned.edit(codes, "light", 1.0))


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda m: m.edit(torch.zeros(2, 5), "light", 1.0), ValueError, "had 12 dims"),
        (lambda m: m.edit(torch.zeros(2, 12), "lite", 1.0), KeyError, "no target 'lite'"),
        (lambda m: m.edit(torch.zeros(2, 12), "light", float("nan")), ValueError, "finite, got nan"),
        (lambda m: m.edit(torch.zeros(2, 12), "light", 1.0, hold=["size"]), KeyError, "no factor 'size' to hold"),
        (lambda m: Manipulator().fit(draw(10)[0], draw(10)[1]), ValueError, "10 fully labelled samples are too few"),
        (lambda m: Manipulator().fit(draw(30)[0], draw(31)[1]), ValueError, "one row for each of 31"),
        (lambda m: Manipulator().fit(draw(30)[0] * float("nan"), draw(30)[1]), ValueError, "NaN"),
    ],
)
def test_what_cannot_be_done(learned, call, error, told):
    with pytest.raises(error, match=told):
        call(learned)


def test_an_array_of_factors_will_do():
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((60, 2))
    codes = torch.from_numpy(factors @ rng.standard_normal((2, 5))).float()
    moved = Manipulator(steps=20).fit(codes, factors).edit(codes[:2], "factor1", 1.0)
    assert moved.shape == (2, 5)
    assert not torch.equal(moved, codes[:2])


def test_codes_that_are_all_equal_teach_nothing():
    with pytest.raises(ValueError, match="all codes are equal"):
        Manipulator(steps=1).fit(np.ones((20, 4)), np.arange(20.0)[:, None])


def test_copies_of_one_code_are_left_out_together():
    """Labels that codes do not tell are learned by heart, which other codes show and copies do not."""
    rng = np.random.default_rng(1)
    copies = np.repeat(np.arange(40), 5)
    codes, labels = rng.standard_normal((40, 8))[copies], rng.standard_normal((40, 1))[copies]
    torn, whole = (Manipulator(steps=150, width=64).fit(codes, labels, groups) for groups in (None, copies))
    assert torn.read_error_[1] < 0.5
    assert whole.read_error_[1] > 0.8


def test_groups_that_leave_nothing_out_are_refused():
    codes, labels = draw(20)
    with pytest.raises(ValueError, match="all 20 samples belong to 'one'"):
        Manipulator(steps=1).fit(codes, labels, ["one"] * 20)
