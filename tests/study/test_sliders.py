"""What a slider moves, on worlds whose answer is known."""

import numpy as np
import pytest
import torch

from latentlab.data import MovingShapes
from latentlab.generator.adapter import Adapter
from latentlab.generator.update import LowRank
from latentlab.study.sliders import in_deviations, moves, open_captions

LIGHT = 0.5 / 12**0.5  # its standard deviation


class World:
    """A generator whose sliders move the light by so many deviations a unit of strength, and the size by `side`."""

    def __init__(self, moved: float, side: float = 0.0) -> None:
        self.moved, self.side, self.strength = moved, side, 0.0

    def adapted(self, strengths):
        other = World(self.moved, self.side)
        ((slider, k),) = strengths.items()
        other.strength = k * slider.updates["layer"].alpha
        return other

    def generate(self, captions, **_):
        k = self.moved * self.strength
        fixed = {"light": 0.75 + LIGHT * k, "size": 6.85 + self.side * k * 4.7 / 12**0.5}
        return torch.cat([MovingShapes(1, seed=i, fixed=fixed).clip(0) for i in range(len(captions))])


def slider() -> Adapter:
    return Adapter({"layer": LowRank(torch.ones(1, 2), torch.ones(2, 1), 1.0)})


def test_moves_are_read_in_standard_deviations():
    world, own = World(0.5, side=0.2), slider()
    found = moves(lambda k: world.adapted({own: k}).generate(["", ""]), "light", (-2.0, -1.0, 1.0, 2.0))
    assert np.allclose(found.along, np.array([-1.0, -0.5, 0.5, 1.0])[:, None], atol=0.02)
    assert found.slope == pytest.approx(0.5, abs=0.01)
    assert found.spearman == pytest.approx(1.0)
    others = found.others(2.0)
    assert others["size"] == pytest.approx(0.2, abs=0.02)
    assert "light" not in others
    assert others["hue"] < 0.01


def test_a_unit_of_strength_becomes_a_standard_deviation():
    unit = in_deviations(World(0.4), slider(), "light", clips=2)
    assert unit.updates["layer"].alpha == pytest.approx(1 / 0.4, rel=0.02)
    assert unit.about["unit"] == "standard deviations of light"
    with pytest.raises(ValueError, match="no unit"):
        in_deviations(World(-0.4), slider(), "light", clips=2)


def test_captions_leave_the_target_open():
    assert not {"dim", "bright"} & {word for text in open_captions("light", 24) for word in text.split()}
    assert {"small", "large"} & {word for text in open_captions("light", 24) for word in text.split()}
