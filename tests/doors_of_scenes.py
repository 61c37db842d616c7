"""One good call of each public function of `latentlab.study` about clips of two objects."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from doors_of_control import Call, draw

from latentlab import study
from latentlab.data import moving_shapes
from latentlab.data.moving.factors import NAMES
from latentlab.data.moving.measure_scenes import SeenScene, see_scene
from latentlab.data.moving.object_edits import TOLD
from latentlab.factors import FactorTable
from latentlab.generator.networks.edits import EditNetwork
from latentlab.networks import EditConfig
from latentlab.study.change import Change
from latentlab.study.contract import Wanted, outside_psnr
from latentlab.study.contract_scenes import WantedScene
from latentlab.study.seen_objects import SeenObjects

BOTH = {"shape": 3, "shape.2": 1, "hue": 0.0, "hue.2": 120.0, "background_hue": 240.0, "light": 0.7, "speed": 0.3}
BOTH |= {"start_x": 20.0, "start_x.2": 44.0, "start_y": 32.0, "start_y.2": 32.0, "size": 6.0, "size.2": 6.0}
LIGHTER = Change.of("light", 0.05, "by")
COVERED = torch.zeros(1, 1, 2, 8, 8)


@functools.cache
def _clip(frames: int = 3) -> tuple[torch.Tensor, FactorTable]:
    video, factors = moving_shapes(1, seed=0, objects=2, fixed=BOTH)
    return video[:, :, :frames].contiguous(), factors


@functools.cache
def _seen() -> SeenScene:
    return see_scene(_clip()[0][0])


@functools.cache
def _wanted() -> WantedScene:
    return WantedScene.of(_clip()[1], 3)


def _row() -> dict[str, float]:
    table = _clip()[1]
    return dict(zip(table.names, map(float, table.values[0]), strict=True))


def _object() -> np.ndarray:
    return np.array([_row()[name] for name in NAMES])


@functools.cache
def _network() -> EditNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = EditConfig(2, objects=2, condition=TOLD, width=8, blocks=0, hidden=8, reader_width=8)
        return EditNetwork(shape).eval()


def _seen_objects() -> SeenObjects:
    return SeenObjects(draw(1, 2, len(NAMES)), torch.tensor([[[20.0, 32.0], [44.0, 32.0]]]), torch.ones(1, 2).bool())


def _judged() -> study.contract.Judged:
    return study.contract_scenes.judge_scene(_clip()[0], _wanted(), seen=[_seen()])


def asked(function: Callable[..., Any], arguments: Callable[[], dict[str, Any]]) -> Callable[[], Call]:
    return lambda: (function, arguments())


LEFT_OUT = {
    **dict.fromkeys(("SeenObjects", "WantedScene", "SceneClips"), "results"),
    **{f"SceneClips.{method}": "of a benchmark's clips" for method in ("accounted", "exactly_judged")},
    **dict.fromkeys(("contract_scene_clips", "first_asked", "generator_space"), "the clips of a benchmark"),
}
CALLS: dict[str, Callable[[], Call]] = {
    # what is asked
    "check_place": asked(study.asked.check_place, lambda: {"at": (20.0, 32.0), "side": 64}),
    "check_asked": asked(
        study.asked.check_asked,
        lambda: {"wanted": [LIGHTER], "known": [_object(), _wanted()], "at": None, "caption": None},
    ),
    "is_shown": asked(study.asked.is_shown, lambda: {"change": LIGHTER, "known": _wanted(), "at": (20.0, 32.0)}),
    "not_shown": asked(
        study.asked.not_shown, lambda: {"wanted": [LIGHTER], "known": [_object(), _wanted()], "at": (20.0, 32.0)}
    ),
    "scenes_of": asked(study.asked.scenes_of, lambda: {"clip": _clip(2)[0], "unedited": _clip(2)[0]}),
    "words_of": asked(study.named.words_of, lambda: {"caption": "a blue star"}),
    # what an edit network sees
    "seen_objects": asked(
        study.seen_objects.seen_objects, lambda: {"network": _network(), "latents": draw(1, 2, 3, 8, 8)}
    ),
    "SeenObjects.index": lambda: (_seen_objects().index, {"object": 1, "at": (20.0, 32.0)}),
    "peaks": asked(study.seen_objects.peaks, lambda: {"heat": draw(1, 2, 8, 8).sigmoid()}),
    "edited_in_turn": asked(
        study.edit_methods.edited_in_turn,
        lambda: {
            "network": _network(),
            "changes": [LIGHTER],
            "latents": draw(1, 2, 3, 8, 8),
            "at": (20.0, 32.0),
        },
    ),
    # the contract
    "how_far": asked(
        study.contract.how_far,
        lambda: {
            "wanted": Wanted.of(_object()[None], 3),
            "read": _object()[None],
            "places": Wanted.of(_object()[None], 3).centre,
        },
    ),
    "outside_psnr": asked(
        lambda covered, **given: outside_psnr(given["before"], given["after"], covered),
        lambda: (
            {"before": draw(1, 3, 2, 8, 8).clamp(-1, 1), "after": draw(1, 3, 2, 8, 8, seed=1).clamp(-1, 1)}
            | {"covered": COVERED}
        ),
    ),
    "WantedScene.of": asked(WantedScene.of, lambda: {"table": _clip()[1], "frames": 3}),
    "WantedScene.read": asked(WantedScene.read, lambda: {"seen": [_seen()]}),
    "WantedScene.after": lambda: (_wanted().after, {"change": LIGHTER, "strength": 1.0}),
    "WantedScene.meant": lambda: (_wanted().meant, {"change": LIGHTER, "at": (20.0, 32.0)}),
    "WantedScene.silhouettes": lambda: (_wanted().silhouettes, {"seen": [_seen()]}),
    "WantedScene.overlap": lambda: (_wanted().overlap, {"seen": [_seen()]}),
    "WantedScene.overlap_in": lambda: (_wanted().overlap_in, {"space": lambda video: video, "seen": [_seen()]}),
    "judge_scene": asked(
        study.contract_scenes.judge_scene,
        lambda: {
            "video": _clip()[0],
            "wanted": _wanted(),
            "outside": np.array([40.0]),
            "floor": np.ones((1, 2, 3)),
            "seen": [_seen()],
        },
    ),
    "scene_table": asked(study.contract_scenes.scene_table, lambda: {"found": _wanted()}),
    "two_objects": asked(study.contract_scenes.two_objects, lambda: {"video": _clip(2)[0]}),
    "account_scene": asked(
        study.account_scenes.account_scene,
        lambda: {
            "before": _clip()[0],
            "after": _clip()[0],
            "asked": [LIGHTER],
            "seen": _seen(),
            "space": lambda video: video,
        },
    ),
    "scene_mask": asked(
        lambda **given: study.account_scenes.scene_mask(given["seen"]),
        lambda: {"seen": _seen()},
    ),
    # rows of scenes
    "scene_wish": asked(
        study.contract_scene_clips.scene_wish,
        lambda: {"factor": "light", "row": _row(), "rng": np.random.default_rng(0)},
    ),
    "left_to_right": asked(study.contract_scene_clips.left_to_right, lambda: {"row": _row()}),
    "object_row": asked(study.contract_scene_clips.object_row, lambda: {"row": _row(), "object": 1}),
    "row_after": asked(study.contract_scene_clips.row_after, lambda: {"row": _row(), "change": LIGHTER}),
    "judged_together": asked(study.contract_scene_clips.judged_together, lambda: {"parts": [_judged(), _judged()]}),
}
