"""What the edit network finds in clips, by a network that sees everything."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.edits import HALF, MIDDLE, centre, reading
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.object_edits import TOLD
from latentlab.generator.networks.edits import EditNetwork
from latentlab.networks import EditConfig
from latentlab.study.change import Change, changes
from latentlab.study.edit_methods import NetworkEdit, edited_in_turn
from latentlab.study.seen_objects import seen_objects
from latentlab.train.edits import heat_of


class Oracle(EditNetwork):
    """Knows the scenes; a frame's latents are the numbers of its scene and of itself."""

    def __init__(self, objects: torch.Tensor):
        super().__init__(EditConfig(2, objects=2, condition=TOLD, width=8, blocks=0, hidden=8, reader_width=8))
        self.objects, self.told = objects, []  # (scene, object, factor), NaN where there is none

    def forward(self, latents, condition, places):
        self.told.append((condition, places))
        return latents

    def _frame(self, latents):
        scene, frame = latents[:, 0, 0, 0].long(), latents[:, 1, 0, 0]
        rows = self.objects[scene]
        places = torch.stack([centre(one, frame) for one in rows.unbind(1)], 1)
        return rows, frame, (places - MIDDLE) / HALF

    def find(self, latents):
        return torch.logit(heat_of(self.cells(latents, 2), self._frame(latents)[2]), 1e-6)

    def read(self, latents, near=None):
        rows, frame, places = self._frame(latents)
        nearest = (places - near[:, None]).norm(dim=2).nan_to_num(1e9).argmin(1)
        said = reading(rows[torch.arange(len(rows)), nearest], frame)
        return torch.cat([20 * said[:, :5], said[:, 5:]], 1)


def oracle(*scenes: dict[str, float]) -> tuple[Oracle, torch.Tensor]:
    rows = [[[one.get(name + end, one[name]) for name in NAMES] for end in ("", ".2")] for one in scenes]
    latents = torch.zeros(len(scenes), 2, 16, 8, 8)
    latents[:, 0] = torch.arange(len(scenes)).view(-1, 1, 1, 1)
    latents[:, 1] = torch.arange(16.0).view(16, 1, 1)
    return Oracle(torch.tensor(rows, dtype=torch.float32)), latents


def scene(index: int, objects: int = 2) -> dict[str, float]:
    data = MovingShapes(100, 5, objects=objects)
    found = dict(zip((spec.name for spec in data.sampler.specs), data.sampler(index), strict=True))
    return found if objects == 2 else {**found, **{f"{name}.2": np.nan for name in NAMES[:8]}}


def test_one_and_two_objects_are_found_and_ordered_from_left_to_right_also_where_they_meet():
    scenes = [scene(i) for i in range(12)] + [scene(i, objects=1) for i in range(4)]
    network, latents = oracle(*scenes)
    seen = seen_objects(network, latents)
    assert seen.there.tolist() == [[True, True]] * 12 + [[True, False]] * 4
    for i, one in enumerate(scenes):
        rows = network.objects[i]
        middle = [centre(row[None], torch.tensor([7.5]))[0, 0].item() for row in rows]
        order = np.argsort(middle) if i < 12 else [0]
        for k, which in enumerate(order):
            assert torch.allclose(seen.start[i, k], rows[which, 3:5], atol=0.1), one
            assert seen.rows[i, k, 0] == rows[which, 0]
            assert abs((seen.rows[i, k, 1] - rows[which, 1] + 180) % 360 - 180) < 0.1


def test_the_object_that_is_meant_is_told_to_the_network_by_name_or_by_place():
    one = scene(0)
    left, right = sorted((one[f"start_x{end}"], one[f"start_y{end}"]) for end in ("", ".2"))
    for change, at, meant in (
        (Change.of("hue", 60), None, left),
        (Change.of("hue.2", 60), None, right),
        (Change.of("hue", 60), right, right),
    ):
        network, latents = oracle(one)
        NetworkEdit(network, change, at).apply(latents)
        _, places = network.told[0]
        assert torch.allclose(places[0, 0] * HALF + MIDDLE, torch.tensor(meant).float(), atol=0.1)
        assert torch.equal(places[:, 0], places[:, 1])


def test_an_object_that_was_moved_is_edited_where_it_was_moved_to():
    network, latents = oracle(scene(0), scene(2))
    wanted = changes(by={"place.2": (-3, 2), "hue.2": 60})
    edited_in_turn(network, wanted, latents)
    (_, moved), (_, again) = network.told
    assert torch.allclose((moved[:, 1] - moved[:, 0]) * HALF, torch.tensor([-3.0, 2.0]), atol=1e-2)
    assert torch.equal(again[:, 0], again[:, 1])


def test_a_second_object_that_the_network_does_not_see_is_an_error():
    network, latents = oracle(scene(0, objects=1))
    with pytest.raises(ValueError, match="sees one object in the clip"):
        NetworkEdit(network, Change.of("hue.2", 60)).apply(latents)
