"""Names of directions, read in one place."""

import numpy as np
import pytest

from latentlab.directions.factor_units import FactorUnits
from latentlab.directions.target import Target
from latentlab.factors import Factor, FactorTable

FACTORS = (
    Factor("hair=long", "continuous", 0, 1),
    Factor("hair", "categorical", 0, 1, labels=("short", "long")),
    Factor("hue", "circular", 0, 360),
    Factor("a@b", "ordinal", 0, 3),
)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("hair=long", Target("hair=long")),
        ("hair=short", Target("hair", value="short")),
        ("hue@-12.5", Target("hue", angle=-12.5)),
        ("a@b", Target("a@b")),
    ],
)
def test_a_name_means_the_longest_factor_that_it_begins_with(name, target):
    assert Target.parse(name, FACTORS) == target
    assert str(target) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hue", "a direction of hue is hue@ANGLE, in degrees"),
        ("hue@east", "a direction of hue is hue@ANGLE"),
        ("hair=red", "a direction of hair is hair=VALUE, one of short, long"),
        ("a@b@3", "a direction of a@b is a@b"),
        ("colour", "factors are hair=long, hair, hue, a@b"),
    ],
)
def test_what_is_none_is_quoted_with_the_way_out(name, said):
    with pytest.raises(KeyError, match=f"no target '{name}'; {said}"):
        Target.parse(name, FACTORS)


def test_a_factor_whose_name_looks_like_a_category_is_measured():
    table = FactorTable(np.array([[0.0], [2.0]]), (Factor("hair=long", "continuous", 0, 2),))
    assert FactorUnits.of(table).along("hair=long", table[:1], table[1:]).tolist() == [2.0]
