"""Recipes: edits written down so that they replay to the same frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.metrics.perceptual import psnr
from latentlab.record import block_means, frame_hash
from latentlab.shapes import Video, in_a_line
from latentlab.spaces import LatentSpace, NoiseSpace
from latentlab.spaces.space import Described, Space, as_space
from latentlab.spaces.told import CaptionOrCondition
from latentlab.study.account import Account
from latentlab.study.caption_account import CaptionAccount
from latentlab.study.edit_space import edit_space
from latentlab.study.fidelity import Fidelity, fidelity
from latentlab.study.step_tensors import packed_steps, unpacked_steps
from latentlab.study.steps import Step, draw
from latentlab.tensors import read_tensors, write_tensors
from latentlab.warning import warn

FORMAT = 4  # of the file; raised when an old one could be misread
UNBLENDED = 3  # in which masks acted on codes alone; files without masks mean the same
ROUNDING = 0.25  # 8-bit levels by which means of blocks may differ where nothing else does


@dataclass(frozen=True)
class Edited:
    """An edited clip.

    Attributes:
        video: the clip.
        space: where it was edited.
        floor_psnr: the clip against itself after the same way without an edit, decibels: what the space itself loses.
        recipe: how it was made; None of an edit that is no move along a direction.
        unedited: the clip after the same way without an edit: what the edited one is to be compared with.
        leak: how far the model by itself changed the clip outside the masks, as a share of the change inside; it is
            taken back by blending (`latentlab.study.steps.draw`). NaN without masks.
        accounts: what moved in each clip, where it was read.
        fidelity: whether a generator knows such clips; None of another space.
        given: what the method was found from: "pairs" that differ in one factor, "labels" or "captions".
        likeness: the same of the edited clips: how far they are from the model's own.
    """

    video: Video
    space: str
    floor_psnr: float
    recipe: Recipe | None
    unedited: Video
    leak: float = float("nan")
    accounts: tuple[Account | CaptionAccount, ...] = ()
    fidelity: Fidelity | None = None
    given: str = ""
    likeness: Fidelity | None = None

    __repr__ = in_a_line

    @property
    def account(self) -> Account | CaptionAccount | None:
        """Of the first clip."""
        return self.accounts[0] if self.accounts else None

    @property
    def kept(self) -> bool:
        """Whether each clip reached its target, and all else stayed within its tolerance; never without an account."""
        return len(self.accounts) == len(self.video) > 0 and all(one.kept for one in self.accounts)


@clear_errors
@dataclass(frozen=True, eq=False)
class Recipe:
    """Edits of a clip, one after another in one space, and what they gave.

    Args:
        space: "latent", "noise" or "h-space" of a generator; or, for any space whatever, its description: see `of`.
        steps: the edits; they add up.
        num_steps, method, seed, caption, guidance: of the inversion in a generator's spaces, see `NoiseSpace`; the
            description of another space holds its own.
        levels: flow times within which activations of h-space are moved.
        weights: fingerprint of the generator that it was made with, "" before it was; that of another space is in its
            description.
        source, frames: hashes of the clip and of the edited clip.
        device, threads, pytorch: that made it; others may round differently.
        means: of blocks of the edited clip, see `block_means`, by which a replay says how much it differs.

    >>> import numpy as np
    >>> import latentlab as ll
    >>> from latentlab.directions import Direction
    >>> generator = ll.load()
    >>> clip, _ = ll.data.moving_shapes(1, seed=0)
    >>> push = Direction("push", np.eye(1, int(np.prod(generator.latent_shape)))[0], 1.0)
    >>> edited = Recipe("latent", (Step(push, 2.0),)).apply(generator, clip)
    >>> bool((edited.recipe.replay(generator, clip).video == edited.video).all())
    True

    Any other space takes the place of the generator:

    >>> space = ll.spaces.Places(ll.LatentSpace(generator), "channel", [0])
    >>> push = Direction("push", np.eye(1, space.dim)[0], 1.0)
    >>> edited = Recipe.of(space, (Step(push, 2.0),)).apply(space, clip)
    >>> edited.space, edited.recipe.replay(space, clip).recipe.frames == edited.recipe.frames
    ('Places', True)
    """

    space: str | Mapping[str, Any]
    steps: tuple[Step, ...]
    num_steps: int = 25
    method: str = "leapfrog"
    seed: int = 0
    caption: CaptionOrCondition = ""
    guidance: float = 1.0
    levels: tuple[float, float] = (0.0, 1.0)
    weights: str = ""
    source: str = ""
    frames: str = ""
    device: str = ""
    threads: int = 0
    pytorch: str = ""
    means: Tensor | None = field(default=None, repr=False)

    @staticmethod
    @clear_errors
    def of(space: Space, steps: Sequence[Step]) -> Recipe:
        """Edits in a space. For latents, and noise to be edited, the generator is enough to make them again.

        Args:
            space: any.
            steps: the edits.
        """
        if type(space) is LatentSpace:  # a subclass may decode differently
            return Recipe("latent", tuple(steps))
        if type(space) is NoiseSpace and space.levels == "sampling":
            way = {name: getattr(space, name) for name in ("num_steps", "method", "seed", "caption", "guidance")}
            return Recipe("noise", tuple(steps), **way)
        return Recipe(as_space(space).describe(), tuple(steps))

    @torch.no_grad()
    def apply(self, model: Generator | Space, clip: Video) -> Edited:
        """Edits clips, and notes in the new recipe what gave what.

        Args:
            model: the generator, or the space that is described.
            clip: `(batch, 3, frame, height, width)`.

        Raises:
            ValueError: no such space, another one than is described, or directions of another one.
        """
        space = self._space(model)
        here = space.around(clip)
        drawn = draw(self.steps, here)
        video, unedited = drawn.video.cpu(), here.unedited.cpu()
        floor = psnr(unedited, clip.cpu()).mean()
        made = {"weights": _weights(model), "device": str(space.device or here.codes.device)}
        made |= {"threads": torch.get_num_threads(), "pytorch": str(torch.__version__), "means": block_means(video)}
        recipe = replace(self, source=frame_hash(clip), frames=frame_hash(video), **made)
        known = fidelity(model, clip, decoded=unedited) if isinstance(model, Generator) else None
        return Edited(video, self.place, round(float(floor), 2), recipe, unedited, drawn.leak, fidelity=known)

    @clear_errors
    def replay(self, model: Generator | Space, clip: Video) -> Edited:
        """Does it all again, and makes sure that it gives the same frames.

        Frames that differ as another number of threads, another device or another PyTorch rounds are a warning.

        Raises:
            ValueError: the recipe was never applied; the model, the space or the clip is another; or the frames differ
                by more than rounding.
        """
        if not self.frames:
            raise ValueError("this recipe was never applied, so there is nothing to compare with: use apply")
        self._space(model)
        for what, was, now in (("model", self.weights, _weights(model)), ("clip", self.source, frame_hash(clip))):
            if was != now:
                raise ValueError(f"another {what} than the recipe was made with: {was[:12]} then, {now[:12]} now")
        again = self.apply(model, clip)
        if again.recipe is not None and again.recipe.frames != self.frames:
            self._compare(again.recipe)
        return again

    def _compare(self, now: Recipe) -> None:
        """Says how much other frames differ, and raises where it is more than rounding."""
        if self.means is None or now.means is None or self.means.shape != now.means.shape:
            apart, much = math.inf, "; by how much, this recipe of an older version does not say"
        else:
            apart = float((self.means - now.means).abs().max())
            much = f" by {apart:.2g} of 255 levels at most, in the mean of a block"
        was, is_now = self._made(), now._made()
        where = f"made {was}, now {is_now}" if was != is_now else f"made {was}, as now: by another processor, perhaps"
        said = f"the frames differ from those of the recipe{much} ({where})"
        if apart > ROUNDING:
            raise ValueError(
                f"{said}, and rounding is below {ROUNDING}: a changed recipe or version edits differently. "
                "Recipe.apply takes them as they are"
            )
        warn(f"{said}, which is rounding")

    def _made(self) -> str:
        if not self.threads:
            return f"on {self.device}"
        return f"on {self.device} with {self.threads} thread{'s' * (self.threads > 1)} and PyTorch {self.pytorch}"

    @property
    def place(self) -> str:
        """The space in a word."""
        return self.space if isinstance(self.space, str) else str(self.space.get("space", "a space"))

    def _space(self, model: Generator | Space) -> Described:
        """The space that is edited in.

        Raises:
            ValueError: this is not what the recipe is of.
        """
        if isinstance(self.space, str) and isinstance(model, Generator):
            way = {name: getattr(self, name) for name in ("num_steps", "method", "caption", "guidance")}
            own = {"noise": {"seed": self.seed}, "h-space": {"levels": self.levels}}.get(self.space, {})
            return edit_space(model, self.space, **way, **own)
        if isinstance(self.space, str) or isinstance(model, Generator):
            wanted = f"a {self.place}" if isinstance(model, Generator) else "the generator, not a space of it"
            raise ValueError(f"this recipe edits in {self.place}; it takes {wanted}, got {type(model).__name__}")
        space = as_space(model)
        was, now = dict(self.space), space.describe()
        if other := [name for name in was | now if was.get(name) != now.get(name)]:
            said = ", ".join(f"{name} ({was.get(name)} then, {now.get(name)} now)" for name in other)
            raise ValueError(f"another space than the recipe was made for: {said}")
        return space

    @clear_errors
    def save(self, path: str | Path) -> None:
        """Writes a safetensors file, settings as JSON in its header; atomic.

        Raises:
            ValueError: of a direction that turns with the code, which no file holds.
        """
        steps, tensors = packed_steps(self.steps)
        header = {"format": FORMAT, "steps": steps, **{name: getattr(self, name) for name in (*_SETTINGS, *_UNSAID)}}
        if isinstance(self.caption, Condition):
            tensors |= {_CONDITION + name: tensor for name, tensor in self.caption.tensors().items()}
            header["caption"] = None
        if self.means is not None:
            tensors["means"] = self.means
        write_tensors(path, "recipe", header, tensors)

    @staticmethod
    @clear_errors
    def load(path: str | Path) -> Recipe:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not such a file.
        """
        tensors, header = read_tensors(path, "recipe", "recipe")
        old = isinstance(header, dict) and header.get("format") == UNBLENDED
        if old and any(name.endswith(".mask") for name in tensors):
            raise ValueError(
                f"{path} has a mask and is of an earlier version, in which masks let edits leak over the whole frame; "
                "its frames cannot be made again, so edit the clip anew"
            )
        if (
            not isinstance(header, dict)
            or header.get("format") not in (FORMAT, UNBLENDED)
            or not {*_SETTINGS, "steps"} <= header.keys()
        ):
            raise ValueError(f"{path} was not written by Recipe.save, or by another version of latentlab")
        settings = {name: header[name] for name in (*_SETTINGS, *_UNSAID) if name in header}
        try:
            if settings["caption"] is None:
                told = {name.removeprefix(_CONDITION): t for name, t in tensors.items() if name.startswith(_CONDITION)}
                if not told:
                    raise KeyError("tokens")
                settings["caption"] = Condition.from_tensors(told)
            wrong = [name for name, value in settings.items() if not isinstance(value, _KINDS.get(name, object))]
            if wrong:
                raise TypeError(f"its {wrong[0]} is {settings[wrong[0]]!r}")
            if "levels" in settings:
                low, high = map(float, settings["levels"])
                settings["levels"] = low, high
            steps = unpacked_steps(header["steps"], tensors)
        except KeyError as error:
            raise ValueError(f"{path} is no whole recipe: it lacks {error}; write it again") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no whole recipe: {error}; write it again") from error
        return Recipe(steps=steps, means=tensors.get("means"), **settings)

    def lines(self) -> list[str]:
        """The steps in words, one a line."""
        return [str(step) for step in self.steps]


def _weights(model: Generator | Space) -> str:
    return model.fingerprint() if isinstance(model, Generator) else ""


_SETTINGS = ("space", "num_steps", "method", "seed", "caption", "guidance", "weights", "source", "frames", "device")
_UNSAID = {"threads": 0, "pytorch": "", "levels": (0.0, 1.0)}  # in older files
_CONDITION = "condition."
_KINDS: dict[str, Any] = dict.fromkeys(("weights", "source", "frames", "device", "pytorch"), str) | {"threads": int}
_KINDS |= {"space": str | dict, "caption": str | list | Condition, "levels": list}
