"""What a space is, and what every space of latentlab can say of itself."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.perceptual import psnr
from latentlab.protocols import HasShape
from latentlab.shapes import Codes, Video, check_codes, check_video, in_a_line
from latentlab.spaces.around import Around

AXES = ("channel", "frame", "height", "width")  # of latents


@runtime_checkable
class Space(Protocol):
    """What interpolation, direction finders and metrics need of a space; a user's own model joins by having it."""

    def encode(self, video: Video) -> Codes: ...
    def decode(self, codes: Codes) -> Video: ...


@runtime_checkable
class _Drawing(Protocol):
    """A space of one's own that has a generator."""

    @property
    def generator(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Statistics:
    """How codes are spread.

    Attributes:
        mean, scale: of each dim, `(dim,)`.
        norm: mean length of the codes after the mean is taken off.
        surprise: mean square of all values; 1 under a unit normal prior.
    """

    mean: Float[Tensor, " dim"]
    scale: Float[Tensor, " dim"]
    norm: float
    surprise: float

    __repr__ = in_a_line


class Described(ABC):
    """A space with axes, a prior and a floor.

    Attributes:
        shape: of one code with its axes; its product is the number of dims.
        axes: names of those axes; empty where a code has none.
        prior: what its codes are drawn from: "normal" (independent, unit variance), or None where nobody knows.
        batch_dependent: whether a clip's code, or the clip of a code, depends on the clips it came with: on its place
            among several captions, or on those that codes are decoded `around`. Such codes cannot be cached clip by
            clip.
        device: where codes are; None follows the clips.
        generator: that draws clips of captions for it; None where there is none.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...] = ()
    prior: str | None = None
    batch_dependent: bool = False
    device: torch.device | None = None
    generator: Any = None

    @abstractmethod
    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips."""

    @abstractmethod
    def decode(self, codes: Codes) -> Video:
        """Clips of codes."""

    def settings(self) -> dict[str, Any]:
        """What else decides which code a clip has, plain values; two spaces that agree in it agree in all codes."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Name, axes, prior and settings as JSON holds them, for a report or a file."""
        own = {"space": type(self).__name__, "shape": self.shape, "axes": self.axes, "prior": self.prior}
        return json.loads(json.dumps({**own, **self.settings()}))

    def __repr__(self) -> str:
        sides = ", ".join(f"{name} {length}" for name, length in zip(self.axes, self.shape, strict=False))
        return f"{type(self).__name__}({self.dim} dims{sides and ': '}{sides})"

    @property
    def dim(self) -> int:
        """Length of a code."""
        count = 1
        for length in self.shape:
            count *= length
        return count

    @property
    def grid(self) -> tuple[int, ...] | None:
        """Channel, frame, height and width of a code, for profiles and masks; None where it has no such axes."""
        return self.shape if self.axes == AXES else None

    @property
    def by_place(self) -> bool:
        """The name of `batch_dependent` in version 0.1."""
        warnings.warn("by_place is batch_dependent since version 0.2", DeprecationWarning, stacklevel=2)
        return self.batch_dependent

    @clear_errors
    def groups(self, axis: str) -> dict[str, list[int]]:
        """Dims at each place along an axis, by name: "frame0", "frame1", ...; for finders that look at each alone.

        Raises:
            ValueError: no such axis.
        """
        if axis not in self.axes:
            raise ValueError(f"{type(self).__name__} has no axis {axis!r}; there are {', '.join(self.axes) or 'none'}")
        dims = torch.arange(self.dim).reshape(self.shape).movedim(self.axes.index(axis), 0).flatten(1)
        return {f"{axis}{i}": row.tolist() for i, row in enumerate(dims)}

    @clear_errors
    def unflatten(self, codes: Codes) -> Tensor:
        """Codes with their axes.

        Raises:
            ValueError: codes of another space.
        """
        if codes.ndim != 2 or codes.shape[1] != self.dim:
            raise ValueError(
                f"codes of {type(self).__name__} are (sample, {self.dim}), for axes {self.shape}; "
                f"got {tuple(codes.shape)}"
            )
        check_codes(codes)
        return codes.reshape(len(codes), *self.shape)

    def around(self, video: Video) -> Around:
        """Clips in this space, ready to be moved: their codes, and how moved ones become clips.

            here = space.around(clips)
            here.decode(edit(here.codes, direction, 2.0))

        What codes leave open is taken from the clips, and noise to be edited goes back the very way that it came.
        """
        return Around(self.encode(video), self.decode, self.grid)

    def floor(self, video: Video) -> Float[Tensor, " batch"]:
        """What the space itself loses: clips after the way there and back, PSNR in decibels."""
        return psnr(self.around(video).unedited.cpu(), video.cpu())


class BareSpace(Described):
    """A pair of `encode` and `decode` with what every space can do, see `as_space`."""

    def __init__(self, space: Space, shape: tuple[int, ...] | None) -> None:
        self.space, self._shape = space, shape
        self.generator = space.generator if isinstance(space, _Drawing) else None

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of a code, which the first clip shows where the class does not say it."""
        if self._shape is None:
            name = type(self.space).__name__
            raise ValueError(f"how long codes of {name} are shows with a clip: use as_space({name}(), clips)")
        return self._shape

    @property
    def axes(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Those of latents for four sides, as nobody names others."""
        if len(self.shape) == 4:
            return AXES
        return ("dim",) if len(self.shape) == 1 else tuple(f"axis{i}" for i in range(len(self.shape)))

    @property
    def grid(self) -> tuple[int, ...] | None:
        return self._shape if self._shape is not None and len(self._shape) == 4 else None

    def encode(self, video: Video) -> Codes:
        codes = self.space.encode(video)
        if not isinstance(codes, Tensor) or codes.ndim != 2 or len(codes) != len(video):
            said = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
            name = type(self.space).__name__
            raise ValueError(f"codes are a tensor (sample, dim), and {name}.encode of {len(video)} clips gave {said}")
        self._shape = self._shape or tuple(codes.shape[1:])
        return codes

    def decode(self, codes: Codes) -> Video:
        if self._shape is not None:
            self.unflatten(codes)
        return self.space.decode(codes)

    def describe(self) -> dict[str, Any]:
        return {"space": type(self.space).__name__}

    def __repr__(self) -> str:
        return f"BareSpace({type(self.space).__name__})" if self._shape is None else super().__repr__()


@clear_errors
def as_space(space: Space, clips: Video | None = None, *, codes: Codes | None = None) -> Described:
    """A space that has the rest, from any that has `encode` and `decode`: so a model of your own joins by writing two.

    What it says of itself is its class's name; codes that depend on more, such as weights, are kept apart by having a
    `Described` of your own, whose `settings` name them. Where the class has a `shape`, that is the shape of a code.

    Args:
        space: a pair, whose codes are `(sample, dim)`; one of latentlab's own is returned as it is.
        clips: one at least, that show how long a code is; None waits for the first that are encoded.
        codes: show it, too.

    Raises:
        TypeError: no pair of both.
        ValueError: codes of another shape.

    >>> class Mine:
    ...     def encode(self, video):
    ...         return video.flatten(1)
    ...     def decode(self, codes):
    ...         return codes.reshape(-1, 3, 1, 2, 2)
    >>> as_space(Mine(), torch.zeros(1, 3, 1, 2, 2))
    BareSpace(12 dims: dim 12)
    """
    if isinstance(space, Described):
        return space
    if not isinstance(space, Space):
        raise TypeError(f"a space has encode(video) and decode(codes), got {type(space).__name__}")
    shape = (isinstance(space, HasShape) and space.shape) or (None if codes is None else codes.shape[1:])
    pair = BareSpace(space, None if shape is None else tuple(shape))
    if clips is not None:
        check_video(clips=clips)
        pair.encode(clips[:1])
    return pair


@clear_errors
def statistics(codes: Codes) -> Statistics:
    """How codes of any space are spread.

    Args:
        codes: `(sample, dim)`, at least two.

    Raises:
        ValueError: fewer.

    >>> import torch
    >>> statistics(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).mean
    tensor([1., 1.])
    """
    if codes.ndim != 2 or len(codes) < 2:
        raise ValueError(f"statistics need at least two codes (sample, dim), got {tuple(codes.shape)}")
    check_codes(codes)
    mean = codes.mean(0)
    scale = codes.std(0, correction=0)
    return Statistics(mean, scale, float((codes - mean).norm(dim=1).mean()), float(codes.square().mean()))
