"""The scale of changes, and usable ranges on a generator whose factors are known in closed form."""

import numpy as np
import pytest
import torch

from latentlab.directions import Direction
from latentlab.directions.factor_units import FactorUnits
from latentlab.directions.usable import Limits, usable_range
from latentlab.factors import Factor, FactorTable

SPECS = (
    Factor("light", "continuous", 0, 1),
    Factor("hue", "circular", 0, 360),
    Factor("shape", "categorical", 0, 2, labels=("circle", "square", "star")),
    Factor("size", "continuous", 0, 1),
)


def world(samples: int = 20_000, seed: int = 0) -> FactorTable:
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(size=samples), rng.uniform(0, 360, samples), rng.integers(3, size=samples)]
    return FactorTable(np.stack([*columns, rng.normal(5, 3, samples)], 1), SPECS)


def test_two_random_clips_are_equally_far_in_every_factor():
    table = world()
    distances = FactorUnits.of(table).distances(table[:10_000], table[10_000:])
    np.testing.assert_allclose(np.sqrt((distances**2).mean(0)), np.sqrt(2), rtol=0.02)


def test_a_step_is_counted_along_what_the_name_says():
    table = world()
    factor_units = FactorUnits.of(table)
    one = FactorTable(np.array([[0.2, 350.0, 0.0, 5.0]]), SPECS)
    other = FactorTable(np.array([[0.4, 10.0, 2.0, 2.0]]), SPECS)
    assert factor_units.along("light", one, other)[0] == pytest.approx(0.2 * np.sqrt(12), rel=0.01)
    assert factor_units.along("size", one, other)[0] == pytest.approx(-1, rel=0.03)
    assert factor_units.along("hue@90", one, other)[0] == pytest.approx(2 * np.sin(np.deg2rad(10)), rel=0.01)
    assert factor_units.along("hue@0", one, other)[0] == pytest.approx(0, abs=1e-12)
    assert factor_units.along("shape=star", one, other)[0] > 1
    assert factor_units.along("shape=circle", one, other)[0] == -factor_units.along("shape=star", one, other)[0]
    assert factor_units.along("shape=square", one, other)[0] == pytest.approx(0)


def test_unknown_values_stay_unknown():
    table = world(100)
    holes = FactorTable(np.full((1, 4), np.nan), SPECS)
    assert np.isnan(FactorUnits.of(table).distances(table[:1], holes)).all()


@pytest.mark.parametrize("name", ["lihgt", "hue", "hue@red", "shape=cross", "light@90", "shape", ""])
def test_a_name_that_means_no_factor(name):
    with pytest.raises(KeyError, match="no target"):
        FactorUnits.of(world(100)).target(name)


def test_a_factor_that_never_changes_has_no_unit():
    table = FactorTable(np.ones((5, 1)), SPECS[:1])
    with pytest.raises(ValueError, match="'light' never changes in the reference"):
        FactorUnits.of(table)


TWO = (Factor("light", "continuous", -9, 9), Factor("size", "continuous", -9, 9))
UNIT = FactorTable(np.random.default_rng(0).standard_normal((50_000, 2)), TWO)
LIGHT = Direction("light", np.array([1.0, 0.0]), 1.0)


def find(mix, **options):
    """Range of "light" on codes that are read as `mix` of them."""
    return usable_range(
        torch.zeros(4, 2), LIGHT, lambda z: z, lambda z: FactorTable(mix(z.numpy()), TWO), UNIT, **options
    )


def test_a_side_ends_where_the_target_saturates():
    found = find(lambda z: np.stack([np.clip(z[:, 0], -2, 3), z[:, 1]], 1))
    assert (found.low, found.high) == (-2.0, 3.0)
    assert found.why_low == found.why_high == "the target saturates"
    np.testing.assert_allclose(found.target, np.clip(found.strengths, -2, 3), rtol=0.02)


def test_a_side_ends_before_another_factor_moves_by_half_a_deviation():
    found = find(lambda z: np.stack([z[:, 0], 0.1 * np.maximum(z[:, 0], 0) ** 2], 1), step=0.25)
    assert found.high == pytest.approx(np.sqrt(5), abs=0.25)
    assert (found.why_high, found.why_low, found.low) == ("size moves", "reach", -6.0)


def test_a_side_ends_where_clips_cannot_be_read_or_look_bad():
    lost = find(lambda z: np.where(z[:, :1] > 1.6, np.nan, z))
    assert (lost.high, lost.why_high) == (1.5, "light can no longer be read")
    bad = find(lambda z: z, quality=lambda z: -(z[:, 0] ** 2), limits=Limits(quality=4.0))
    assert (bad.low, bad.high, bad.why_high) == (-2.0, 2.0, "quality falls")


def test_a_direction_that_does_nothing_has_no_range():
    found = find(lambda z: np.zeros_like(z))
    assert (found.low, found.high) == (0.0, 0.0)


def test_steps_must_fit_the_reach():
    with pytest.raises(ValueError, match=r"got step 1\.0 and reach 0.5"):
        find(lambda z: z, reach=0.5, step=1.0)


def test_quality_that_cannot_be_told_has_fallen():
    light = (Factor("light", "continuous", -9, 9),)

    def quality(z: torch.Tensor) -> torch.Tensor:
        return torch.where(z[:, 0].abs() > 1.2, torch.nan, 0.0)

    def tried(at: float):
        codes, push = torch.full((2, 1), at), Direction("light", np.ones(1), 1.0)
        reference = FactorTable(np.array([[-1.0], [1.0]]), light)
        return usable_range(
            codes, push, lambda z: z, lambda z: FactorTable(z.numpy(), light), reference, quality=quality
        )

    found = tried(0.0)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert found.why_high == "quality falls"
    with pytest.raises(ValueError, match="at strength 0 is NaN"):
        tried(5.0)
