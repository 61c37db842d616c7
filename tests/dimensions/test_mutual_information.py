"""Information of codes whose knowledge is known."""

import math

import numpy as np
import pytest
import torch

from latentlab.dimensions.mutual_information import information
from latentlab.factors import Factor, FactorTable

COUNT = 1500


@pytest.fixture(scope="module")
def world():
    """Light in dim 2; an angle in dims 0 and 1 as cosine and sine; shape in dim 3; dims 4 and 5 are noise."""
    rng = np.random.default_rng(0)
    light, angle, shape = rng.random(COUNT), 360 * rng.random(COUNT), rng.integers(3, size=COUNT)
    turn = np.deg2rad(angle)
    columns = [np.cos(turn), np.sin(turn), light**2, shape, rng.standard_normal(COUNT), rng.standard_normal(COUNT)]
    codes = np.stack(columns, 1) + 0.02 * rng.standard_normal((COUNT, 6))
    specs = (
        Factor("light", "continuous", 0, 1),
        Factor("angle", "circular", 0, 360),
        Factor("shape", "categorical", 0, 2),
        Factor("absent", "continuous", 0, 1),
    )
    return codes, FactorTable(np.stack([light, angle, shape, rng.random(COUNT)], 1), specs)


@pytest.fixture(scope="module")
def found(world):
    return information(*world, null=20)


def test_the_fewest_dims_are_found(found):
    assert found.carriers["light"].units == ("2",)
    assert set(found.carriers["angle"].units) == {"0", "1"}
    assert found.carriers["shape"].units == ("3",)
    assert found.carriers["absent"].units == ()
    assert found.carriers["angle"].explained[-1] > 0.95 > 0.6 > found.carriers["angle"].explained[0]


def test_dims_are_ranked_and_noise_is_not_among_them(found):
    assert found.ranked("light")[0][0] == "2"
    assert {unit for unit, _ in found.ranked("angle")} == {"0", "1"}
    assert found.ranked("absent") == []
    assert found.real.sum() == 4


def test_nats_and_shares(found):
    shape = found.attributes.index("shape")
    # Two of the twenty bins hold two shapes.
    assert math.log(3) - 0.1 < found.nats[3, shape] < math.log(3)
    assert found.share[3, shape] == pytest.approx(found.nats[3, shape] / math.log(3), abs=0.02)
    assert np.abs(found.share[4:]).max() < 0.05
    assert (found.null >= 0).all()


def test_the_same_seed_gives_the_same(world, found):
    again = information(torch.from_numpy(world[0]), world[1], null=20)
    np.testing.assert_array_equal(again.null, found.null)
    assert again.carriers == found.carriers


def test_groups_are_units(world):
    groups = {"turn": [0, 1], "rest": [2, 3], "noise": [4, 5]}
    found = information(*world, null=5, units=groups)
    assert found.units == ("turn", "rest", "noise")
    assert found.carriers["angle"].units == ("turn",)
    assert found.carriers["light"].units == ("rest",)


def test_copies_are_not_taken_twice(world):
    codes, factors = world
    doubled = np.concatenate([codes, codes[:, 2:3]], 1)
    assert len(information(doubled, factors, null=5).carriers["light"].units) == 1


def test_the_table_has_a_line_for_each_attribute(found):
    lines = found.table().splitlines()
    assert len(lines) == 2 + 4
    assert "none beyond chance" in lines[-1]
    with pytest.raises(KeyError, match="light"):
        found.ranked("charm")


@pytest.mark.parametrize("arguments", [{"null": 1}, {"enough": 0.0}, {"enough": 1.5}])
def test_bad_settings_are_told(world, arguments):
    with pytest.raises(ValueError, match="null must be"):
        information(*world, **arguments)


def test_attributes_are_judged_where_they_were_read(world, found):
    """What could not be read, in rows of one attribute, changes nothing for the others."""
    codes, factors = world
    values = factors.values.copy()
    values[:700, 0] = np.nan
    part = information(codes, FactorTable(values, factors.specs))
    assert part.attributes == found.attributes
    np.testing.assert_array_equal(part.nats[:, 1:], found.nats[:, 1:])
    assert part.carriers["light"].units == ("2",)
    assert part.nats[2, 0] == pytest.approx(found.nats[2, 0], abs=0.1)
    plain = information(codes, torch.from_numpy(values), kinds=factors.kinds, null=5)
    np.testing.assert_array_equal(plain.nats, part.nats)


def test_attributes_that_are_hardly_known_are_told(world):
    codes, factors = world
    values = factors.values.copy()
    values[20:, 0] = np.nan
    with pytest.raises(ValueError, match="'light': 20"):
        information(codes, FactorTable(values, factors.specs))
    with pytest.raises(ValueError, match="infinite"):
        information(codes, FactorTable(np.where(np.isnan(values), np.inf, values), factors.specs))


def test_dims_that_never_change_know_nothing(world):
    codes, factors = world
    still = np.concatenate([np.ones((COUNT, 1)), codes], 1)
    found = information(still, factors, null=5)
    assert found.units == tuple(map(str, range(7)))
    assert not found.real[0].any()
    assert found.carriers["light"].units == ("3",)


def test_angles_with_gaps_keep_the_table_s_unit(world):
    codes, factors = world
    degrees = np.where(np.arange(COUNT) < 5, np.nan, factors["angle"])[:, None]
    full, half = ({"low": 0, "high": high} for high in (360, 12))
    one, other = (
        information(codes, FactorTable(values, (Factor("angle", "circular", **ends),)), null=3)
        for values, ends in ((degrees, full), (degrees / 30, half))
    )
    np.testing.assert_allclose(one.nats, other.nats)
    assert one.carriers["angle"].explained == pytest.approx(other.carriers["angle"].explained)


def test_all_dims_explain_no_less_than_the_set_that_was_chosen():
    """Few samples and many dims that tell a little: a ridge regression on all of them does worse than on the best."""
    rng = np.random.default_rng(0)
    light = rng.random((60, 1))
    codes = np.concatenate([light + 0.02 * rng.standard_normal((60, 1)), light + 2 * rng.random((60, 20))], 1)
    found = information(codes, light, names=["light"], null=3).carriers["light"]
    assert found.units[0] == "0"
    assert found.explained[-1] <= found.ceiling


def test_one_attribute_must_be_a_column():
    codes = np.random.default_rng(0).random((60, 2))
    with pytest.raises(ValueError, match=r"f\[:, None\]"):
        information(codes, np.r_[np.nan, codes[1:, 0]])
