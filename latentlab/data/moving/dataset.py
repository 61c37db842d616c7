"""Moving shapes as a data set: item `index` is a pure function of `(seed, index)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Natural, Seed, clear_errors
from latentlab.data.moving.captions import FULL_WORDINGS, WORDINGS, caption
from latentlab.data.moving.controls import DrawnControls
from latentlab.data.moving.factors import NUM_FRAMES, SIDE, FactorSampler
from latentlab.data.moving.item import Item as Item
from latentlab.data.moving.render import draw_scene, exposed, render
from latentlab.data.moving.said import SaidObject, said_objects
from latentlab.data.moving.scene import Scene
from latentlab.data.moving.scene_captions import scene_caption
from latentlab.data.moving.scenes import SceneSampler
from latentlab.factors import FactorTable
from latentlab.shapes import Video

FPS = 8.0
TRAIN_SEED, HELD_OUT_SEED = 1, 1_000_003  # clips of one never appear in the other


class MovingShapes:
    """A data set of `count` procedural clips of moving shapes, 16 frames of 64 x 64.

    Args:
        count: how many clips.
        seed: of the set; item k depends on `(seed, k)` alone.
        objects: how many are in a clip, 0 to 2, or several such numbers, of which each clip has one by chance.
        changes: share of the motions that stop, start, turn or bounce at a known frame.
        camera: share of the clips with a patterned background, over which a camera may pan or zoom.
        fixed, sweep, correlated: see `FactorSampler`, and `SceneSampler` for all but one steady object.

    The factors of a second object are columns `hue.2`, `size.2`, ...; those of an absent one are NaN, and `objects`
    says how many there are.

    >>> clips = MovingShapes(100, seed=0, fixed={"shape": 3})
    >>> clips[7].video.shape
    torch.Size([1, 3, 16, 64, 64])
    >>> MovingShapes(100, objects=2)[1].captions[3]
    'a yellow triangle below a cyan square'
    """

    num_frames, size, fps = NUM_FRAMES, (SIDE, SIDE), FPS

    @clear_errors
    def __init__(
        self,
        count: int,
        seed: Seed = 0,
        *,
        objects: int | Sequence[int] = 1,
        changes: float = 0.0,
        camera: float = 0.0,
        fixed: Mapping[str, float] | None = None,
        sweep: Mapping[str, Sequence[float]] | None = None,
        correlated: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.count, self.seed = count, seed
        asked = {"fixed": fixed or {}, "sweep": sweep or {}, "correlated": correlated or {}}
        numbers = (objects,) if isinstance(objects, int) else tuple(objects)
        plain = set(numbers) == {1} and not changes and not camera
        self.sampler = FactorSampler(seed, **asked) if plain else SceneSampler(seed, numbers, changes, camera, **asked)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Item:
        scene = self.scene(index)
        clip = render(scene)
        return Item(
            video=_video(clip.rgb),
            factors=self.sampler.table([index]),
            captions=[self._say(index, wording) for wording in range(len(WORDINGS))],
            mask=torch.from_numpy(clip.mask).float()[None, None],
            flow=torch.from_numpy(clip.flow).float().transpose(0, 1)[None],
            layers=clip.layers,
        )

    @clear_errors
    def scene(self, index: int) -> Scene:
        """What an item shows."""
        names = (spec.name for spec in self.sampler.specs)
        return Scene.of(dict(zip(names, self._factors(index), strict=True)))

    @clear_errors
    def clip(self, index: int, *, seed: Seed = 0, frames: Sequence[int] | None = None) -> Video:
        """The pixels alone, only the given frames if any; `seed` is unused, an item has one rendering."""
        return _video(draw_scene(self.scene(index), _times(frames))[0])

    @clear_errors
    def mask(self, index: int, *, frames: Sequence[int] | None = None) -> Float[Tensor, "1 1 frame height width"]:
        """The share of each pixel that objects cover, without drawing the clip."""
        _, seen, _ = exposed(self.scene(index), _times(frames))
        none = np.zeros((len(_times(frames)), SIDE, SIDE))
        return torch.from_numpy(sum(seen, none)).float()[None, None]

    @clear_errors
    def drawn(self, index: Natural) -> DrawnControls:
        """Where its objects are, for `controls`."""
        return DrawnControls.of(self[index])

    @clear_errors
    def caption(self, index: Natural, *, seed: Seed = 0) -> str:
        """One wording, drawn by `(seed, index)`; four times in five one that says everything."""
        rng = np.random.default_rng([seed, index])
        full = rng.random() < 0.8
        wording = rng.integers(FULL_WORDINGS) if full else rng.integers(FULL_WORDINGS, len(WORDINGS))
        return self._say(index, int(wording))

    @clear_errors
    def said(self, index: Natural, caption: str, *, frames: Sequence[int] | None = None) -> tuple[SaidObject, ...]:
        """The objects of a clip in the order in which a caption names them, see `said_objects`."""
        return said_objects(self.scene(index), caption, _times(frames))

    def factors(self) -> FactorTable:
        """The factors of all clips."""
        return self.sampler.table(range(self.count))

    def _say(self, index: int, wording: int) -> str:
        if isinstance(self.sampler, FactorSampler):
            return caption(self._factors(index), wording)
        return scene_caption(self.scene(index), wording)

    def _factors(self, index: int) -> np.ndarray:
        if not 0 <= index < self.count:
            raise IndexError(f"item {index} of a set of {self.count}")
        return self.sampler(index)


@clear_errors
def moving_shapes(count: int, seed: Seed = 0, **factors) -> tuple[Video, FactorTable]:
    """Renders `count` clips at once.

    Args:
        count: how many clips.
        seed: of the set.
        **factors: `objects=`, `changes=`, `camera=`, `fixed=`, `sweep=` and `correlated=` of `MovingShapes`.

    Returns:
        The clips `(count, 3, 16, 64, 64)` and their factors.

    >>> video, factors = moving_shapes(3, seed=0, sweep={"light": [0.5, 0.75, 1.0]})
    >>> factors["light"]
    array([0.5 , 0.75, 1.  ])
    """
    data = MovingShapes(count, seed, **factors)
    return torch.cat([data.clip(i) for i in range(count)]), data.factors()


def _times(frames: Sequence[int] | None) -> np.ndarray:
    return np.arange(NUM_FRAMES) if frames is None else np.asarray(frames)


def _video(rgb: np.ndarray) -> Video:
    return torch.from_numpy(rgb).float().mul(2).sub(1).permute(3, 0, 1, 2)[None].contiguous()
