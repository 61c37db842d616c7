"""What each dimension does: it is moved, and the change of the clip is measured, mapped and followed in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.factors import Factor, FactorTable
from latentlab.metrics.disentanglement.groups import read_places
from latentlab.shapes import Codes, Video, in_a_line
from latentlab.spaces import Space, as_space
from latentlab.study.attributes import Measure, appearance

AT_MOST = 64  # dims that are tried one by one without being named
SILENT = 0.5  # 8-bit levels; a dim that changes pixels by less does nothing
LOCAL = 0.25  # share of the picture; a change that covers less is local
MOVING = 0.5  # share of the change that differs from frame to frame; more is motion


@dataclass(frozen=True, eq=False)
class Perturbation:
    """What moving each dim (or group of dims, a unit) did to some clips.

    Attributes:
        units: names.
        strengths: how far each was moved, in standard deviations of the codes.
        specs: of the attributes.
        change: of each attribute, `(unit, strength, sample, attribute)`, in its own unit; angles the short way round,
            for categories 1 where it is another one. NaN where it could not be read.
        spread: of each attribute over the clips, its standard deviation; what an effect is compared with.
        map: mean absolute change of a pixel for a strength of one, 8-bit levels, `(unit, height, width)`.
        profile: the same for each frame, `(unit, frame)`.
        moving: share of the squared change that differs from frame to frame, `(unit,)`: 0 is a still change.
    """

    units: tuple[str, ...]
    strengths: tuple[float, ...]
    specs: tuple[Factor, ...]
    change: Float[np.ndarray, "unit strength sample attribute"]
    spread: Float[np.ndarray, " attribute"]
    map: Float[np.ndarray, "unit height width"]
    profile: Float[np.ndarray, "unit frame"]
    moving: Float[np.ndarray, " unit"]

    __repr__ = in_a_line

    @property
    def attributes(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    @property
    def effect(self) -> Float[np.ndarray, "unit attribute"]:
        """Mean absolute change for a strength of one, in standard deviations of the attribute (categories: share)."""
        size = np.abs(self.change) / np.abs(self.strengths)[:, None, None]
        return _nanmean(size, (1, 2)) / self.spread

    @property
    def slope(self) -> Float[np.ndarray, "unit attribute"]:
        """The same with its sign, by least squares: smaller than `effect` where clips or strengths disagree."""
        s = np.array(self.strengths)[:, None, None]
        known = np.isfinite(self.change)
        squares = np.where(known, s**2, 0).sum((1, 2))
        along = np.where(known, s * self.change, 0).sum((1, 2)) / np.where(squares > 0, squares, np.nan)
        return along / self.spread

    @property
    def extent(self) -> Float[np.ndarray, " unit"]:
        """Share of the picture that changes, (sum m)^2 / (n sum m^2) of the map: 1 is everywhere alike."""
        flat = self.map.reshape(len(self.map), -1)
        return flat.sum(1) ** 2 / np.maximum(flat.shape[1] * (flat**2).sum(1), 1e-12)

    @property
    def level(self) -> Float[np.ndarray, " unit"]:
        """Mean absolute change of a pixel for a strength of one, 8-bit levels."""
        return self.map.mean((1, 2))

    @property
    def acts(self) -> list[str]:
        """What each unit is: "nothing", "motion", "local" or "global"."""
        peak = self.map.reshape(len(self.map), -1).max(1)
        return [
            "nothing" if p < SILENT else "motion" if m > MOVING else "local" if e < LOCAL else "global"
            for p, m, e in zip(peak, self.moving, self.extent, strict=True)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """One row a unit: what it is, and its effect on every attribute."""
        numbers = zip(self.units, self.acts, self.level, self.extent, self.moving, self.effect, strict=True)
        return [
            {"unit": unit, "acts": acts, "level": float(level), "extent": float(extent), "moving": float(moving)}
            | {name: float(value) for name, value in zip(self.attributes, effect, strict=True)}
            for unit, acts, level, extent, moving, effect in numbers
        ]

    def table(self, top: int = 3) -> str:
        """The rows as Markdown, each with its `top` attributes and the sign of the slope."""
        lines = ["| unit | acts | levels | extent | moving | changes most |", "| --- | --- | --- | --- | --- | --- |"]
        effects, slopes = np.nan_to_num(self.effect), np.nan_to_num(self.slope)
        for i, row in enumerate(self.rows()):
            best = np.argsort(-effects[i])[:top]
            told = ", ".join(f"{self.attributes[j]} {np.copysign(effects[i, j], slopes[i, j]):+.2f}" for j in best)
            lines.append(
                f"| {row['unit']} | {row['acts']} | {row['level']:.2f} | {row['extent']:.2f} | {row['moving']:.2f} "
                f"| {told} |"
            )
        return "\n".join(lines)


@torch.no_grad()
@clear_errors
def perturb(
    space: Space,
    start: Video | Codes,
    dims: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    strengths: Sequence[float] | float = (-2.0, -1.0, 1.0, 2.0),
    *,
    measures: Sequence[Measure] | Measure = (appearance,),
    scale: Any = None,
    batch: int = 16,
    progress: bool = False,
) -> Perturbation:
    """Moves each dim of the codes of some clips and measures what changes, against the clip decoded unmoved.

    Args:
        space: any space; one whose codes move clips, as h-space, is put around those given.
        start: clips to start from, 8 or more tell most; or their codes `(sample, dim)`, as captions give them.
        dims: which, or groups of them by name, whose dims all move; None is every dim of a short code.
        strengths: how far, in standard deviations of the codes, not 0.
        measures: of attributes; `appearance`, `data.moving.measure`, `likeness(...)` or your own.
        scale: standard deviation of each dim, `(dim,)`; by default over the clips.
        batch: clips decoded at once; all of them where a code is what it is beside the others (`batch_dependent`).
        progress: show a bar.

    Returns:
        Changes, maps and profiles.

    Raises:
        ValueError: dims or strengths that cannot be, too many dims, no clips, one clip and no scale,
            codes that are NaN.
    """
    strengths = tuple(map(float, np.ravel(strengths)))
    measures = (measures,) if callable(measures) else tuple(measures)
    start = torch.as_tensor(start)
    if not strengths or not all(np.isfinite(s) and s != 0 for s in strengths):
        raise ValueError(f"strengths must be finite and not 0, got {strengths}")
    if not len(start):
        raise ValueError("no clips to start from; give 8 or more")
    if not measures or batch < 1:
        raise ValueError(f"at least one measure and a batch of 1 are needed, got {len(measures)} and {batch}")
    space, draw = as_space(space), space.decode
    codes = start if start.ndim == 2 else None
    if space.batch_dependent:
        batch = len(start)
        if codes is None:
            here = space.around(start)
            codes, draw = here.codes, here.decode
    codes = space.encode(start) if codes is None else codes
    if bad := int((~codes.isfinite()).sum()):
        raise ValueError(f"codes of the start hold {bad} values that are NaN or infinite; leave those clips out")
    units = _units(dims, codes.shape[1])
    step = _scale(scale, codes)

    def decode(moved: Codes) -> Video:
        return torch.cat([draw(part).float().cpu() for part in moved.split(batch)])

    still = decode(codes)
    base = _measured(measures, still)
    kinds, shape = base.kinds, (len(units), len(strengths), len(codes), len(base.names))
    change, maps = np.full(shape, np.nan), np.zeros((len(units), *still.shape[-2:]))
    profile, moving = np.zeros((len(units), still.shape[2])), np.zeros(len(units))
    with tqdm(total=len(units) * len(strengths), desc="moving dims", disable=not progress or None) as bar:
        for u, at in enumerate(units.values()):
            total, static = 0.0, 0.0
            for s, strength in enumerate(strengths):
                moved = codes.clone()
                moved[:, at] += strength * step[at]
                clip = decode(moved)
                change[u, s] = differences(_measured(measures, clip).values, base.values, kinds)
                apart = (clip - still) * 127.5
                size = apart.abs().mean((0, 1)).double().numpy() / abs(strength)  # (frame, height, width)
                maps[u] += size.mean(0) / len(strengths)
                profile[u] += size.mean((1, 2)) / len(strengths)
                total += apart.square().mean().item()
                static += apart.mean(2).square().mean().item()
                bar.update()
            moving[u] = 1 - static / total if total > 1e-9 else 0.0
    spread = _spread(base)
    return Perturbation(tuple(units), strengths, base.specs, change, spread, maps, profile, moving)


def differences(
    after: Float[np.ndarray, "sample attribute"], before: Float[np.ndarray, "sample attribute"], kinds: Sequence[str]
) -> Float[np.ndarray, "sample attribute"]:
    """Change of attributes: angles (degrees) the short way round, categories 0 or 1."""
    apart = after - before
    turned = (apart + 180) % 360 - 180
    other = np.where(np.isfinite(apart), apart != 0, np.nan)
    kind = np.array(kinds)
    return np.where(kind == "circular", turned, np.where(kind == "categorical", other, apart))


def _measured(measures: Sequence[Measure], video: Video) -> FactorTable:
    tables = [measure(video) for measure in measures]
    return FactorTable(np.concatenate([t.values for t in tables], 1), tuple(spec for t in tables for spec in t.specs))


def _units(dims: Mapping[str, Sequence[int]] | Sequence[int] | None, count: int) -> dict[str, list[int]]:
    if dims is None:
        if count > AT_MOST:
            raise ValueError(
                f"codes have {count} dims; name some with dims=[...], or groups of them with dims={{name: [...]}}"
            )
        dims = range(count)
    named = dims if isinstance(dims, Mapping) else {str(j): [j] for j in read_places(dims, count)}
    found = {str(name): read_places(at, count).tolist() for name, at in named.items()}
    for name, at in found.items():
        if not at or not 0 <= min(at) <= max(at) < count:
            raise ValueError(f"unit {name!r} must hold some of dims 0 to {count - 1}, got {at}")
    if not found:
        raise ValueError("no dims to move")
    return found


def _scale(scale: Any, codes: Codes) -> torch.Tensor:
    if scale is None:
        if len(codes) < 2:
            raise ValueError("one clip has no spread of codes; give more clips, or scale=codes_of_many.std(0)")
        return codes.std(0)
    found = torch.as_tensor(scale, dtype=codes.dtype, device=codes.device)
    if found.shape != codes.shape[1:] or not (found >= 0).all() or not found.isfinite().all():
        raise ValueError(f"scale must be a standard deviation for each of {codes.shape[1]} dims, got {found.shape}")
    return found


def _spread(base: FactorTable) -> Float[np.ndarray, " attribute"]:
    """Standard deviation over the clips; that of their range where they are all alike or too few can be read."""
    found = []
    for spec, column in zip(base.specs, base.values.T, strict=True):
        known = column[np.isfinite(column)]
        own = 0.0
        if spec.kind == "categorical":
            own = 1.0
        elif spec.kind == "circular":
            own = 360 / np.sqrt(12)
        elif len(known) > 1:
            own = float(known.std())
        found.append(own if own > 1e-6 * (spec.high - spec.low) else (spec.high - spec.low) / np.sqrt(12))
    return np.array(found)


def _nanmean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean of what is known; NaN where nothing is, without a warning."""
    known = np.isfinite(values)
    count = known.sum(axes)
    return np.where(count > 0, np.where(known, values, 0).sum(axes) / np.maximum(count, 1), np.nan)
