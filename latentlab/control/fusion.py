"""Several conditions at once: captions, masks, images and guides, each with weight, region and range of levels."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.reference import Reference
from latentlab.control.shaped import Shaped
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.generator import Generator
from latentlab.generator.grid import check_mask, to_grid
from latentlab.generator.guides import Guide
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.shapes import Latents, Mask, in_a_line
from latentlab.tensors import tensor_digest

Rule = Literal["sum", "priority", "by_level", "by_mask"]
Watch = Callable[[float, Sequence["FusedPart"], Sequence[Latents], Latents], None]


@clear_errors
@dataclass(frozen=True, eq=False)
class Given:
    """One condition of a `Fusion`.

    Args:
        what: a caption; an image `(1, 3, 1, height, width)`, which becomes a `Reference`; a mask `(batch or 1, 1, frame
            or 1, height, width)`, which becomes `Shaped`; or a guide of any other kind.
        weight: of the difference that it makes to the velocity; 1 is the condition as it is alone.
        levels: flow times between which it acts: (1, 0.5) for what is drawn first, the layout.
        region: where it acts, a mask at the size of the clip; None is everywhere.
        name: by which reports call it; None is the caption, or its kind.

    >>> Given("a red star", weight=0.8, levels=(1, 0.5)).label
    "'a red star'"
    """

    what: Caption | Guide
    weight: float = 1.0
    levels: tuple[float, float] = (1.0, 0.0)
    region: Mask | None = None
    name: str | None = None

    __repr__ = in_a_line

    def __post_init__(self) -> None:
        if not math.isfinite(self.weight):
            raise ValueError(f"a weight is a finite number, got {self.weight}")
        low, high = sorted(self.levels)
        if not 0 <= low <= high <= 1:
            raise ValueError(f"levels are a range of flow times in [0, 1], such as (1, 0.5), got {self.levels}")
        if self.region is not None:
            check_mask(self.region)
        if isinstance(self.what, Tensor) and (self.what.ndim != 5 or self.what.shape[1] not in (1, 3)):
            raise ValueError(
                "a tensor is an image (1, 3, 1, height, width) or a mask (batch, 1, frame, height, width), got shape "
                f"{tuple(self.what.shape)}"
            )

    @property
    def label(self) -> str:
        """Its name in reports."""
        if isinstance(self.what, str):
            return self.name or repr(self.what)
        kind = (
            {1: "mask", 3: "image"}[self.what.shape[1]] if isinstance(self.what, Tensor) else type(self.what).__name__
        )
        return self.name or kind.lower()


@dataclass(frozen=True, eq=False)
class FusedPart:
    """A condition on a generator: a guide that leads to its velocity, and where it counts."""

    label: str
    guide: Guide
    weight: float
    low: float
    high: float
    region: Mask | None  # on the grid of latents

    def settings(self) -> dict[str, Any]:
        where = None if self.region is None else tensor_digest(self.region)
        return {"weight": self.weight, "levels": [self.low, self.high], "region": where} | self.guide.settings()

    def tensors(self) -> dict[str, Tensor]:
        return {**self.guide.tensors(), **({} if self.region is None else {"where": self.region})}


class Told(Guide):
    """The velocity under another condition, as the generator has it under its own guidance."""

    def __init__(self, generator: Generator, caption: Caption) -> None:
        self.generator, self.told = generator, generator.as_condition(caption)

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        del velocity
        told = self.told.expand(len(condition))
        return self.generator.network_velocity(told, self.generator.config.guidance)

    def settings(self) -> dict[str, Any]:
        said = {name: tensor_digest(tensor) for name, tensor in self.told.tensors().items()}
        return {"guide": "told", "guidance": self.generator.config.guidance, **said}


@clear_errors
@dataclass(frozen=True, eq=False)
class Fusion(Guide):
    """Several conditions as one guide: what each changes of the velocity, weighed, limited and added.

    With v_0 the velocity of the run, under its own caption (give "" to `sample` or `generate`), and v_i that under
    condition i,

        v = v_0 + sum_i w_i m_i (v_i - v_0),  for the i within whose levels s lies

    (composition of Liu et al. 2022, eq. 11). Where conditions disagree, a rule says what becomes of each difference
    d_i = w_i m_i (v_i - v_0):

    - "sum": nothing; they add up.
    - "priority": each is projected off those of larger weight where their cosine is negative, over the clip: d_i <- d_i
      - min(0, d_i . d_j) d_j / |d_j|^2 (Yu et al. 2020, PCGrad), the largest last, which so loses nothing; those of one
      weight add up.
    - "by_level": of those that act at a level, only that whose range is centred nearest to it: coarse first, fine last.
    - "by_mask": where regions overlap the smaller one holds, d_i <- d_i prod_j (1 - m_j) over the smaller m_j.

    The order in which they are given changes nothing, to the bit. Conditions that ask the network for a velocity of
    their own, captions and references, each cost its calls. `conflicts` reports who disagreed, where, and who won.

    Args:
        given: the conditions.
        rule: see above.

    Raises:
        ValueError: no condition, or a rule that there is not.

    >>> import latentlab as ll
    >>> generator, mask = ll.load(device="cpu"), torch.zeros(1, 1, 1, 64, 64)
    >>> mask[..., :32] = 1
    >>> both = Fusion([Given("a red star", region=mask), Given("a blue background", weight=0.5)], rule="by_mask")
    >>> generator.guided(both).generate("", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    given: Sequence[Given]
    rule: Rule = "sum"

    def __post_init__(self) -> None:
        if not len(self.given):
            raise ValueError("a fusion is of one condition at least, got none")
        if self.rule not in get_args(Rule):
            raise ValueError(f"rule is one of {', '.join(get_args(Rule))}, got {self.rule!r}")

    def bound(self, generator: VelocityModel) -> Fused:
        if not isinstance(generator, Generator):
            raise TypeError(f"conditions are fused on a Generator, got {type(generator).__name__}")
        parts = [_part(one, generator) for one in self.given]
        return Fused(sorted(parts, key=lambda part: json.dumps(part.settings(), sort_keys=True)), self.rule)

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        raise ValueError("a fusion runs on a generator: generator.guided(Fusion(...))")

    def settings(self) -> dict[str, Any]:
        raise ValueError("a fusion is known once it is on a generator: generator.guided(Fusion(...))")


class Fused(Guide):
    """A `Fusion` on a generator.

    Args:
        parts: in an order of their own, so that sums round alike however they were given.
        rule: see `Fusion`.
        watch: called at each level with the parts that act, their differences before the rule, and what comes of them.
    """

    def __init__(self, parts: Sequence[FusedPart], rule: str, watch: Watch | None = None) -> None:
        self.parts, self.rule, self.watch = tuple(parts), rule, watch
        self.capturable = watch is None and all(part.guide.capturable for part in parts)

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        extras = dict(condition.extras)
        own: list[dict[str, Tensor]] = [{name: extras.pop(f"{i}.{name}") for name in part.tensors()} for i, part in
                                        enumerate(self.parts)]  # fmt: skip
        plain = replace(condition, extras=extras)
        fields = [part.guide(velocity, replace(plain, extras={**extras, **tensors})) for part, tensors in
                  zip(self.parts, own, strict=True)]  # fmt: skip

        def field(y: Tensor, s: float) -> Tensor:
            v = velocity(y, s)
            acts = [i for i, part in enumerate(self.parts) if part.weight and part.low <= s <= part.high]
            if not acts:
                return v
            parts, regions = [self.parts[i] for i in acts], [own[i].get("where") for i in acts]
            deltas = [part.weight * (fields[i](y, s) - v) for part, i in zip(parts, acts, strict=True)]
            deltas = [d if m is None else m.to(d) * d for d, m in zip(deltas, regions, strict=True)]
            change = torch.stack(RULES[self.rule](deltas, parts, regions, s)).sum(0)
            if self.watch is not None:
                self.watch(s, parts, deltas, change)
            return v + change

        return field

    def settings(self) -> dict[str, Any]:
        return {"guide": "fusion", "rule": self.rule, "given": [part.settings() for part in self.parts]}

    def tensors(self) -> Mapping[str, Tensor]:
        return {f"{i}.{name}": tensor for i, part in enumerate(self.parts) for name, tensor in part.tensors().items()}


Regions = Sequence[Mask | None]


def added(deltas: Sequence[Latents], parts: Sequence[FusedPart], regions: Regions, s: float) -> list[Latents]:
    """All of them."""
    del parts, regions, s
    return list(deltas)


def by_priority(deltas: Sequence[Latents], parts: Sequence[FusedPart], regions: Regions, s: float) -> list[Latents]:
    """Each without what goes against those of larger weight."""
    del regions, s
    found = []
    for delta, part in zip(deltas, parts, strict=True):
        above = [(other.weight, d) for other, d in zip(parts, deltas, strict=True) if other.weight > part.weight]
        for _, other in sorted(above, key=lambda pair: pair[0]):  # the largest last: against it nothing is left
            against = (delta * other).sum((1, 2, 3, 4), keepdim=True).clamp(max=0)
            delta = delta - against / other.square().sum((1, 2, 3, 4), keepdim=True).clamp(min=1e-12) * other
        found.append(delta)
    return found


def by_level(deltas: Sequence[Latents], parts: Sequence[FusedPart], regions: Regions, s: float) -> list[Latents]:
    """Those whose range of levels is centred nearest to s."""
    del regions
    far = [abs((part.low + part.high) / 2 - s) for part in parts]
    return [delta if d <= min(far) + 1e-9 else torch.zeros_like(delta) for delta, d in zip(deltas, far, strict=True)]


def by_mask(deltas: Sequence[Latents], parts: Sequence[FusedPart], regions: Regions, s: float) -> list[Latents]:
    """Each without what lies in smaller regions."""
    del parts, s
    sizes = [1.0 if region is None else float(region.mean()) for region in regions]
    found = []
    for delta, size in zip(deltas, sizes, strict=True):
        for region, other in zip(regions, sizes, strict=True):
            if region is not None and other < size:
                delta = (1 - region.to(delta)) * delta
        found.append(delta)
    return found


RULES: dict[str, Callable[[Sequence[Latents], Sequence[FusedPart], Regions, float], list[Latents]]] = {
    "sum": added, "priority": by_priority, "by_level": by_level, "by_mask": by_mask,
}  # fmt: skip


def _part(given: Given, generator: Generator) -> FusedPart:
    what, low, high = given.what, *sorted(map(float, given.levels))
    if isinstance(what, Tensor):
        what = Shaped(what) if what.shape[1] == 1 else Reference(what)
    guide = what.bound(generator) if isinstance(what, Guide) else Told(generator, what)
    region = None
    if given.region is not None:
        frames = generator.latent_shape[1] if given.region.shape[2] == 1 else given.region.shape[2]
        region = to_grid(given.region.expand(-1, -1, frames, -1, -1), generator.latent_shape[1:])
    return FusedPart(given.label, guide, float(given.weight), low, high, region)
