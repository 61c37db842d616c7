"""From a setting to a clip: what the explorer draws, and the recipe that draws it again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.directions import Direction, LocalDirection
from latentlab.directions.edit import Moves
from latentlab.directions.mask import profile_weights
from latentlab.generator.generator import Generator
from latentlab.interpolate import lerp, nlerp, slerp
from latentlab.metrics.perceptual import background_preservation, psnr
from latentlab.metrics.temporal import flicker
from latentlab.shapes import Codes, Video
from latentlab.spaces.around import Around
from latentlab.spaces.space import Space, as_space
from latentlab.study.fidelity import fidelity
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step, draw
from latentlab.view.moved import moved_lines
from latentlab.view.setting import ExplorerState

WALKS = {"slerp": slerp, "lerp": lerp, "nlerp": nlerp}
CLIPS = 8  # drawn clips and their codes that are kept

Decode = Callable[[Codes], Video]
NamedMoves = Mapping[str, Moves] | Iterable[Moves]


@dataclass(frozen=True, eq=False)
class Source:
    """A clip to edit, where it lies in the space, and a word if the model knows none such."""

    clip: Video
    here: Around
    warning: str = ""
    _others: dict[Decode, Around] = field(default_factory=dict)

    def by(self, decode: Decode | None) -> Around:
        """The same place with another decoder, kept with the unedited clip of each."""
        if decode is None:
            return self.here
        if decode not in self._others:
            self._others[decode] = Around(self.here.codes, decode, self.here.shape)
        return self._others[decode]


@dataclass(frozen=True, eq=False)
class View:
    """A drawn setting.

    Attributes:
        video: its clip.
        source: the clip that it was made of, as it was given.
        unedited: that clip as the space gives it back, which is what `video` is without an edit.
        figures: what is said under them.
        warning: if the model does not know such clips.
        account: what each moved slider asked for and reached, what else moved, and whether the rest was kept; of the
            full picture, where the clip can be read.
    """

    video: Video
    source: Video
    unedited: Video
    figures: dict[str, float]
    warning: str = ""
    account: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Of all clips."""
        return self.video.nbytes + self.source.nbytes + self.unedited.nbytes


class Drawing:
    """Draws settings of one space.

    Args:
        space: any.
        directions: by name, or one after another, each under its own name.
        clip: what is edited where a setting has no caption.
        other: a second clip, to walk to.
    """

    def __init__(self, space: Space, directions: NamedMoves, clip: Video, other: Video | None = None) -> None:
        self.space, self.clip, self.other = as_space(space), clip, other
        self.generator = self.space.generator
        self.directions = {name: _named(name, move) for name, move in by_name(directions).items()}
        self._sources: OrderedDict[Any, Source] = OrderedDict()
        self._other: Tensor | None = None

    @property
    def replayable(self) -> bool:
        """Whether the generator alone makes an edit again, without the space."""
        return isinstance(Recipe.of(self.space, ()).space, str)

    def source(self, setting: ExplorerState) -> Source:
        """The clip that a setting edits."""
        key = None if setting.caption is None else (setting.caption, setting.seed)
        if key not in self._sources:
            clip = self.clip if key is None else self.generator.generate(setting.caption, seed=setting.seed).cpu()
            known = isinstance(self.generator, Generator)
            warning = fidelity(self.generator, clip).warning if known else ""
            self._sources[key] = Source(clip, self.space.around(clip), warning)
        self._sources.move_to_end(key)
        while len(self._sources) > CLIPS:
            self._sources.popitem(last=False)
        return self._sources[key]

    def check(self, setting: ExplorerState) -> None:
        """Raises unless a setting can be drawn here.

        Raises:
            KeyError: of directions that are not known.
            ValueError: it has a caption, and there is no generator to draw it.
        """
        if unknown := set(setting.names) - set(self.directions):
            raise KeyError(f"no direction {', '.join(sorted(unknown))}; there are {', '.join(self.directions)}")
        if setting.caption is not None and self.generator is None:
            raise ValueError("this space has no generator to draw a clip with")

    def steps(self, setting: ExplorerState) -> tuple[Step, ...]:
        """A setting as edits, one after another."""
        self.check(setting)
        steps = []
        if self.other is not None and setting.position:
            steps.append(Step(self._towards(setting), 1.0))
        mask = setting.mask(self.clip)
        if mask is None and setting.profile == "constant" and not setting.keys:
            return (*steps, *(Step(self.directions[name], value) for name, value in setting.strengths))
        if self.space.grid is None:
            raise ValueError(
                "boxes, paint, frames, keys and profiles need a space whose codes have frames and places; "
                f"{self.space.describe()['space']} has none"
            )
        for name in setting.names:
            if setting.keys:
                steps.append(Step(self.directions[name], 1.0, self._over_time(setting, name), mask))
            else:
                steps.append(Step(self.directions[name], setting.at(0)[name], setting.profile, mask))
        return tuple(steps)

    def draw(self, setting: ExplorerState, decode: Decode | None = None) -> View:
        """A setting as a clip; `decode` takes the place of the space's own."""
        source = self.source(setting)
        here = source.by(decode)
        drawn = draw(self.steps(setting), here)
        video, unedited = (clip.float().cpu().clamp(-1, 1) for clip in (drawn.video, here.unedited))
        said = figures(video, unedited, source.clip.float().cpu(), setting.mask(video), drawn.leak)
        asked = setting.at(len(video[0, 0]) // 2) if setting.keys else dict(setting.strengths)
        account = moved_lines(unedited, video, asked) if decode is None and not source.warning else ()
        return View(video, source.clip, unedited, said, source.warning, account)

    def recipe(self, setting: ExplorerState) -> Recipe:
        """What `Recipe.replay` needs to give the same frames again."""
        made = Recipe.of(self.space, self.steps(setting))
        model = self.generator if isinstance(made.space, str) else self.space
        edited = made.apply(model, self.source(setting).clip)
        assert edited.recipe is not None  # moves along directions have one
        return edited.recipe

    def _towards(self, setting: ExplorerState) -> Direction:
        """From the clip to a point on the path to the other, as one move."""
        assert self.other is not None
        if self._other is None:
            self._other = self.space.encode(self.other)
        start = self.source(setting).here.codes
        move = (WALKS[setting.path](start, self._other, setting.position)[0] - start)[0]
        length = float(move.norm())
        vector = move / length if length else move
        return Direction(f"{setting.path} {setting.position:g} to the other", vector.cpu().numpy(), length)

    def _over_time(self, setting: ExplorerState, name: str) -> tuple[float, ...]:
        """Strength in each frame of the codes, which may be fewer than those of the clip."""
        assert self.space.grid is not None
        count = self.space.grid[1]
        frames = torch.tensor([setting.at(frame)[name] for frame in range(self.clip.shape[2])])
        frames = F.adaptive_avg_pool1d(frames[None, None], count)[0, 0]
        return tuple((frames * profile_weights(setting.profile, count)).tolist())


def _named(name: str, move: Moves) -> Direction:
    """A direction under the name that it is shown by; one that turns with the code still does."""
    if isinstance(move, LocalDirection):
        return replace(move, name=name)
    return Direction(name, np.asarray(move.vector), float(move.scale))


def by_name(directions: NamedMoves) -> dict[str, Moves]:
    """Directions under the names that they are given or have.

    Raises:
        ValueError: something that is no direction, or two of one name.
    """
    if isinstance(directions, Mapping):
        return {str(name): one for name, one in directions.items()}
    listed: list[Any] = [directions] if isinstance(directions, Moves) else list(directions)
    if wrong := [type(one).__name__ for one in listed if not isinstance(one, Moves)]:
        raise ValueError(f"directions are what a finder gives, such as [found['light']], got {', '.join(wrong)}")
    named = {one.name: one for one in listed}
    if len(named) < len(listed):
        raise ValueError(f"two directions of one name among {', '.join(one.name for one in listed)}; pass a dict")
    return named


def figures(
    video: Video, unedited: Video, source: Video, mask: Tensor | None, leak: float = float("nan")
) -> dict[str, float]:
    """What is said under a picture.

    Flicker in 8-bit levels, NaN if it cannot be followed, left out of fewer than three frames; likeness in decibels to
    the clip without the edit, and of that to the source; how much of a masked edit the model would have made outside.
    """
    said = {}
    if video.shape[2] > 2:
        measured = flicker(video)
        said = {"flicker, 8-bit levels": float(measured.overall), "flicker of the whole frame": float(measured.whole)}
    said["PSNR to the unedited clip, dB"] = float(psnr(video, unedited))
    if mask is not None and not mask.all():
        said["PSNR outside the mask, dB"] = float(background_preservation(video, unedited, mask[:, 0].bool()))
    said["PSNR of the unedited clip to the source, dB"] = float(psnr(unedited, source))
    if np.isfinite(leak):
        said["of the change inside the mask the model made outside, before the blend, %"] = 100 * leak
    return said
