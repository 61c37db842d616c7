"""Pictures of dimensions: they draw, and say in words what they show."""

from dataclasses import replace

import numpy as np
import pytest

from latentlab.dimensions import page as dimensions
from latentlab.dimensions.mutual_information import Carriers, Information
from latentlab.dimensions.perturbation import Perturbation
from latentlab.factors import Factor

SPECS = (Factor("light", "continuous", 0, 1), Factor("size", "continuous", 0, 1))


@pytest.fixture
def found() -> Perturbation:
    change = np.zeros((2, 2, 3, 2))
    change[0, 0, :, 0], change[0, 1, :, 0] = 0.2, -0.2  # light falls as the first unit rises
    spots = np.zeros((2, 8, 8))
    spots[0], spots[1, 0, 0] = 2.0, 5.0
    profile = np.array([[1.0, 1.0], [0.5, 0.0]])
    return Perturbation(("a", "b"), (-1.0, 1.0), SPECS, change, np.array([0.1, 0.1]), spots, profile, np.zeros(2))


def test_effects_are_signed(found):
    chart = dimensions.effects(found)
    assert "from -2 to 0" in chart.alt
    assert "<svg" in chart.svg()


def test_maps_and_profiles_show_the_strongest_first(found):
    assert dimensions.maps(found).alt == "Maps of change. a: global. b: local."
    assert [line.name for line in dimensions.profiles(found).panels[0].marks] == ["a", "b"]
    assert "b: 0.5 to 0 levels." in dimensions.profiles(found).alt
    assert "<svg" in dimensions.maps(found).svg()


def test_knowledge_leaves_chance_empty():
    share = np.array([[0.9, 0.01], [0.02, 0.01]])
    none = {"light": Carriers((), (), 0.0)}
    info = Information(("0", "1"), ("light", "size"), share, 0 * share, np.array([0.1, 0.1]), share, none)
    heat = dimensions.knowledge(info).panels[0].marks[0]
    assert np.isfinite(heat.values).sum() == 1
    blind = Information(("0", "1"), ("light", "size"), share, 0 * share, np.array([1.0, 1.0]), share, none)
    with pytest.raises(ValueError, match="beyond chance"):
        dimensions.knowledge(blind)


def test_many_attributes_go_down_the_page(found):
    specs = tuple(Factor(f"a{i}", "continuous", 0, 1) for i in range(6))
    wide = replace(found, specs=specs, change=np.repeat(found.change, 3, axis=3), spread=np.full(6, 0.1))
    assert dimensions.effects(found).panels[0].marks[0].values.shape == (2, 2)
    assert dimensions.effects(wide).panels[0].marks[0].values.shape == (6, 2)
    assert dimensions.effects(wide).panels[0].ylabel == "attribute"


def test_units_that_do_nothing_look_so(found):
    still = replace(found, change=0 * found.change, map=0 * found.map, profile=0 * found.profile)
    effects, maps = (f(still).panels[0].marks[0].scale for f in (dimensions.effects, dimensions.maps))
    assert (effects.low, effects.high) == (-0.1, 0.1)
    assert maps.high == 0.5
