"""Edits: codes moved along a direction, everywhere or in some places and frames, with other factors held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.directions.direction import LocalDirection, Normal
from latentlab.directions.mask import Mask, Profile, fit_mask, profile_weights
from latentlab.shapes import Codes

AnyCodes = TypeVar("AnyCodes", Tensor, np.ndarray)


@runtime_checkable
class Moves(Protocol):
    """What an edit needs of a direction."""

    @property
    def name(self) -> str: ...
    @property
    def vector(self) -> np.ndarray: ...
    @property
    def scale(self) -> float: ...


@clear_errors
def edit(
    codes: AnyCodes,
    direction: Moves,
    strength: float | Sequence[float] | Tensor,
    *,
    profile: Profile = "constant",
    mask: Mask | None = None,
    preserve: Normal | Sequence[Normal] = (),
    shape: Sequence[int] | None = None,
) -> AnyCodes:
    """Moves codes along a direction.

    Args:
        codes: `(sample, dim)`, a tensor or an array.
        direction: as a finder gives it.
        strength: in standard deviations of the codes along the direction; negative goes the other way. One for all
            samples or one for each.
        profile: over time, see `profile_weights`; needs `shape`.
        mask: where and when to move, `(1 or sample, 1, frame, height, width)` in [0, 1], at the size of the clip or of
            the codes; needs `shape`. Codes outside stay as they are, but a decoder that looks at whole frames (any with
            group norms) changes the clip there too: `latentlab.directions.blend` puts the clip back where the mask is
            0, `leak` says how much it takes back. `study.steps.draw`, recipes and the explorer do so by themselves.
        preserve: what reads the factors to keep: `found.normals("size", "hue")`. Their readings stay as they are
            (InterFaceGAN's conditional manipulation, Shen et al. 2020, eq. 5, here inside the mask); the move that is
            left is the nearest that does so. Moves of `Effect` leave each other's readings alone, but a mask or profile
            may not, and directions of other finders do not.
        shape: channel, frame, height and width of one code, as `space.shape` gives it.

    Returns:
        The moved codes, of the kind given.

    Raises:
        ValueError: a direction is of another space, a strength is not finite, or `shape` is missing or does not fit.

    >>> from latentlab.directions import Direction
    >>> light = Direction("light", np.array([1.0, 0.0]), scale=0.5)
    >>> edit(torch.zeros(1, 2), light, strength=2.0)
    tensor([[1., 0.]])
    >>> edit(torch.zeros(1, 2), light, strength=2.0, profile="ramp", shape=(1, 2, 1, 1))
    tensor([[0., 0.]])
    """
    if isinstance(codes, np.ndarray):
        if codes.dtype.kind != "f" or codes.dtype.itemsize > 8:
            raise ValueError(f"codes are floating point numbers (sample, dim) of at most 64 bits, got {codes.dtype}")
        options = {"profile": profile, "mask": mask, "preserve": preserve, "shape": shape}
        return edit(torch.from_numpy(np.array(codes)), direction, strength, **options).numpy()
    if not isinstance(codes, Tensor) or not codes.is_floating_point():
        kind = codes.dtype if isinstance(codes, Tensor) else type(codes).__name__
        raise ValueError(f"codes are a tensor or an array (sample, dim) of floating point numbers, got {kind}")
    if not codes.isfinite().all():
        bad = int((~codes.isfinite()).sum())
        raise ValueError(f"codes hold {bad} NaN or infinite values of {codes.numel()}; look at what made them")
    preserve = (preserve,) if isinstance(preserve, Normal) else preserve
    if wrong := next((one for one in preserve if not isinstance(one, Normal)), None):
        raise ValueError(
            f"preserve= takes what reads a factor, such as found.normals('size'), got {type(wrong).__name__}: "
            "a direction says what moves the factor, not how it is read"
        )
    for one in (direction, *preserve):
        if not isinstance(one, Moves | Normal):
            raise ValueError(f"a direction is what a finder gives, such as found['light'], got {type(one).__name__}")
        if codes.ndim != 2 or codes.shape[1] != len(one.vector):
            raise ValueError(
                f"direction {one.name!r} has {len(one.vector)} dims, codes have shape {tuple(codes.shape)}; "
                "find the direction in the space of these codes"
            )
    if not np.isfinite(float(direction.scale)):
        raise ValueError(f"the scale of direction {direction.name!r} must be finite, got {direction.scale}")
    try:
        amount = torch.as_tensor(strength, dtype=codes.dtype, device=codes.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"strength is one number or one for each code, got {strength!r}") from error
    if amount.ndim > 1 or (amount.ndim == 1 and len(amount) != len(codes)):
        raise ValueError(f"strength is one number or one for each of {len(codes)} codes, got {tuple(amount.shape)}")
    if not amount.isfinite().all():
        raise ValueError(f"strength must be finite, got {strength}")
    weight = _weight(profile, mask, shape, codes)
    vector = direction.at(codes) if isinstance(direction, LocalDirection) else _like(direction.vector, codes)[None]
    if weight is None:
        kept = _kept(vector, [_like(one.vector, codes)[None] for one in preserve])
    else:  # inside the mask the factors are held by what may move there
        kept = weight * _kept(vector, [weight * _like(one.vector, codes) for one in preserve])
    return codes + amount.reshape(-1, 1) * float(direction.scale) * kept


def _kept(move: Tensor, normals: Sequence[Tensor]) -> Tensor:
    """Each row of `move` less its projection on the span of the rows of `normals` that belong to it."""
    if not normals:
        return move
    span = torch.stack(list(normals), 2).double()  # row dim normal
    # Least squares by the pseudo-inverse, as normals may repeat each other or vanish under a mask.
    coordinates = torch.linalg.pinv(span) @ move.double()[..., None]
    return move - (span @ coordinates)[..., 0].to(move.dtype)


def _weight(profile: Profile, mask: Mask | None, shape: Sequence[int] | None, codes: Codes) -> Tensor | None:
    """How much each number of a code moves, `(1 or sample, dim)`; None where all move fully."""
    if mask is None and isinstance(profile, str) and profile == "constant":
        return None
    if shape is None:
        raise ValueError(
            "a profile or a mask needs to know where frames are in a code: pass shape=space.shape, of a space whose "
            "axes are channel, frame, height and width; codes of other spaces move as a whole"
        )
    if len(shape) != 4 or int(np.prod(shape)) != codes.shape[1]:
        raise ValueError(f"shape {tuple(shape)} is not (channel, frame, height, width) of {codes.shape[1]} numbers")
    channel, frame, height, width = shape
    weight = profile_weights(profile, frame).view(1, 1, frame, 1, 1).expand(1, 1, frame, height, width)
    if mask is not None:
        if len(mask) not in (1, len(codes)):
            raise ValueError(f"a mask for all or one for each of {len(codes)} codes, got {len(mask)}")
        weight = weight * fit_mask(torch.as_tensor(mask).cpu(), (frame, height, width))
    return weight.expand(-1, channel, -1, -1, -1).flatten(1).to(codes)


def _like(vector: np.ndarray, codes: Codes) -> Tensor:
    return torch.as_tensor(vector, dtype=codes.dtype, device=codes.device)
