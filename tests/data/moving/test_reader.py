"""What the reader of scenes should say."""

import numpy as np
import torch

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.reader import Reader, ReaderConfig, load_reader, scene_target_names, scene_targets
from latentlab.data.moving.scene import Object, Scene

STAR = Object(3, hue=90, size=4.5, x=0, y=64, direction=0, speed=2, rotation=0)
CIRCLE = Object(0, hue=0, size=6.8, x=64, y=32, direction=0, speed=0, rotation=0)


def told(*objects):
    return dict(zip(scene_target_names(), scene_targets([Scene(objects, 180, 0.5)])[0].tolist(), strict=True))


def test_objects_are_told_from_left_to_right_whichever_comes_first():
    row = told(CIRCLE, STAR)
    assert row == told(STAR, CIRCLE)
    wanted = {"objects=2": 1, "shape=star": 1, "shape.2=circle": 1, "size": -1, "size.2": 1, "light": -1}
    wanted |= {"start_x": -1, "start_y": 1, "end_x": -1 + 30 / 32, "end_y": 1, "start_x.2": 1, "end_y.2": 0}
    wanted |= {"hue@90": 1, "hue.2@0": 1}
    assert {name: round(row[name], 12) for name in wanted} == wanted
    np.testing.assert_allclose((row["background_hue@0"], row["background_hue@90"]), (-1, 0), atol=1e-12)


def test_what_is_absent_has_no_target():
    row = told(STAR)
    assert row["objects=1"] == 1
    assert all(np.isnan(value) == (".2" in name) for name, value in row.items())
    assert sum(np.isfinite(list(told().values()))) == 6  # the count, background and light


def test_choices_are_the_scores_that_exclude_each_other():
    network = Reader(ReaderConfig(width=32, objects=2))
    assert [network.names[c][0].split("=")[0] for c in network.choices] == ["objects", "shape", "shape.2"]
    assert [c.stop - c.start for c in network.choices] == [3, 5, 5]
    assert load_reader().choices == [slice(0, 5)]
    assert network(torch.zeros(2, 3, 16, 64, 64)).shape == (2, len(network.names))


def test_the_shipped_reader_reads_held_out_shapes_of_one_object():
    data = MovingShapes(16, 77)
    clips = torch.cat([data.clip(i) for i in range(16)])
    truth = data.factors()["shape"].astype(int)
    assert load_reader().read_shape(clips) == [SHAPES[i] for i in truth]
    assert set(load_reader().read_count(clips)) == {1}
