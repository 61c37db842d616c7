"""Worlds of the scoreboard, the finders that are tried in them, and the script that does it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentlab.bench.script import load_script
from latentlab.directions import Direction
from latentlab.scoreboard.finders import SUPERVISED, find
from latentlab.scoreboard.sweep import sweep
from latentlab.scoreboard.worlds import ModelWorld, OracleWorld

WORLD = OracleWorld()


def test_labels_are_true_spoiled_or_those_of_others():
    codes, factors = WORLD.labelled(500, "independent", 0)
    noisy = WORLD.labelled(500, "10 % label noise", 0)[1]
    others = WORLD.labelled(500, "independent", 0, shuffled=True)[1]
    again, _ = WORLD.labelled(500, "independent", 0)
    np.testing.assert_array_equal(codes, again)
    assert (noisy.values != factors.values).mean() == pytest.approx(0.1, abs=0.02)
    assert sorted(others.values[:, 0]) == sorted(factors.values[:, 0])
    assert abs(np.corrcoef(others.values[:, 0], factors.values[:, 0])[0, 1]) < 0.2
    assert not np.array_equal(WORLD.labelled(500, "independent", 1)[0], codes)


class Small:
    """Encode and decode alone: clips, an eighth of each side."""

    def encode(self, video):
        return torch.nn.functional.avg_pool3d(video, (4, 8, 8)).flatten(1)

    def decode(self, codes):
        small = codes.reshape(-1, 3, 4, 8, 8)
        return torch.nn.functional.interpolate(small, scale_factor=(4.0, 8.0, 8.0)).clamp(-1, 1)


def test_encode_and_decode_alone_are_a_world(tmp_path):
    world = ModelWorld("mine", Small(), tmp_path, ("light",), clips=2)
    here = world.testbed(0)
    assert (world.describe()["world"], world.networks) == ({"space": "Small"}, ())
    assert (here.codes.shape, here.decode(here.codes).shape) == ((2, 768), (2, 3, 16, 64, 64))
    push = Direction("light", np.full(768, 768**-0.5), 5.0)
    darker, _, lighter = (table["light"] for table in sweep(here, push, (-1.0, 0.0, 1.0)).tables)
    assert (darker < lighter).all()


def test_what_is_kept_belongs_to_the_weights_and_settings_that_made_it(tiny_generator, tmp_path):
    def files(**more) -> set[Path]:
        world = ModelWorld("noise", tiny_generator, tmp_path, ("light",), **more)
        return {world._kept("truth", {"pairs": world.pairs}), world._kept("codes_000", {"correlated": False})}

    before = files()
    assert files() == before
    assert len(before & files(pairs=4)) == 1  # the codes do not depend on the pairs
    assert not before & files(num_steps=3)
    with torch.no_grad():
        next(tiny_generator.modules[0].parameters()).add_(0.5)
    assert not before & files()


@pytest.mark.parametrize(
    "finder", ["effect", "random", "PCA (GANSpace)", "Jacobian (Pullback)", "contrastive (LatentCLR)"]
)
def test_finders_are_fitted_by_name(finder):
    codes, factors = WORLD.labelled(60, "independent", 0)
    found = find(finder, codes, factors, WORLD, seed=0, count=3, steps=2)
    assert len(found) == (6 if finder in SUPERVISED else 3)
    assert np.isfinite([direction.vector for direction in found]).all()


def test_what_there_is_not_is_told(tiny_generator, tmp_path):
    codes, factors = WORLD.labelled(20, "independent", 0)
    with pytest.raises(ValueError, match="no finder 'SVM'; there are effect, dual"):
        find("SVM", codes, factors, WORLD, seed=0)
    with pytest.raises(ValueError, match="codes of this world enter no layer"):
        find("SeFa", codes, factors, WORLD, seed=0)
    with pytest.raises(ValueError, match="no space 'pixels' of a generator; there are oracle"):
        ModelWorld("pixels", tiny_generator, tmp_path, ("light",)).describe()


def test_a_cell_is_measured_and_one_that_fails_says_why(tmp_path):
    script = load_script(Path(__file__).parents[2] / "benchmarks" / "directions.py")
    config = script.Config(str(tmp_path), spaces=("oracle",), labels=(0, 10), seeds=1, strengths=(-2.0, 0.0, 2.0))
    config = replace(config, finders=("effect", "random", script.NETWORK), nulls=("effect",))
    cells = list(script.cells(config))
    assert [(c.finder, c.labels, c.shuffled) for c in cells] == [
        ("random", 0, False),
        ("effect", 10, False),
        ("effect", 10, True),
        (script.NETWORK, 10, False),
    ]
    for cell in cells:
        script.measure_cell(config, cell)
    told = [json.loads(script.file_of(config, cell).read_text()) for cell in cells]
    assert all(len(cell["scores"]) == 6 for cell in told[:3])
    assert told[3]["failed"].startswith("ValueError: 10 fully labelled samples are too few")
    assert script.file_of(replace(config, pairs=1), cells[0]) == script.file_of(config, cells[0])  # the oracle has none
    assert script.file_of(replace(config, count=3), cells[0]) != script.file_of(config, cells[0])
