"""Attention of one run in another: its states, what the network looks at there, and a guide that puts it in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.solver import Velocity
from latentlab.shapes import Mask
from latentlab.spaces.attention import _weights
from latentlab.tensors import tensor_digest

QueryKeyMask = tuple[Tensor, Tensor, Tensor | None]  # query, key and mask of one call of attention


class StatesOfRun(Guide):
    """Keeps the states that a run calls its network at."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[float, Tensor]]] = []

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        self.batches.append(calls := [])

        def field(y: Tensor, s: float) -> Tensor:
            calls.append((float(s), y.clone()))
            return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        return {}

    def states(self) -> Float[Tensor, "batch call channel frame height width"]:
        """Of all clips, call after call."""
        return torch.cat([torch.stack([y for _, y in calls], 1) for calls in self.batches])

    def levels(self) -> list[float]:
        """Flow times of the calls."""
        return [s for s, _ in self.batches[0]]


class SourceAttention(Guide):
    """The guide of `rewrite`: the target's run, shown what the source's network attended to at each of its calls."""

    capturable: ClassVar[bool] = False  # a graph would keep the first run's maps

    def __init__(
        self, generator: Generator, source: Condition, path: StatesOfRun, align: Tensor, factors: Tensor,
        cross: float, own: float, mask: Mask | None, guidance: float, joint: slice | None = None,
    ) -> None:  # fmt: skip
        self.generator, self.source, self.align, self.factors, self.joint = generator, source, align, factors, joint
        self.cross, self.own, self.mask, self.guidance = cross, own, mask, guidance
        self.path, self.levels = path.states(), path.levels()

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        rows, mask, states = len(condition), condition.extras.get("region"), condition.extras["path"]
        own = {name: part for name, part in condition.extras.items() if name not in ("path", "region")}
        told = replace(self.source.expand(rows), negative=condition.negative)
        source = self.generator.velocity(replace(told, extras={**own, **told.extras}), self.guidance)
        calls, plain = count(), bool((self.factors == 1).all())

        def field(y: Tensor, s: float) -> Tensor:
            i = next(calls)
            kept = s >= self.cross, s >= self.own
            if not any(kept) and plain and mask is None:
                return velocity(y, s)
            with Seen(len(self.align), self.joint) as seen:
                before = source(states[:, i].to(y), s)
            if not seen.cross:
                raise ValueError(
                    f"no layer of this denoiser attends from places of the clip to {len(self.align)} tokens"
                )
            with Shown(seen, self.align, self.factors, kept, rows if self.guidance != 1 else 0):
                v = velocity(y, s)
            return v if mask is None else torch.lerp(before, v, mask.to(v))

        return field

    def settings(self) -> dict[str, Any]:
        mask = None if self.mask is None else tensor_digest(self.mask)
        said = {"align": self.align.tolist(), "factors": self.factors.tolist(), "cross": self.cross, "own": self.own}
        return {"guide": "attention of another run", "path": tensor_digest(self.path), "mask": mask, **said}

    def tensors(self) -> dict[str, Tensor]:
        return {"path": self.path} if self.mask is None else {"path": self.path, "region": self.mask}


class AttentionCalls(TorchFunctionMode):
    """What happens at each call of attention, cross: as many keys as tokens, own: as many as queries.

    Args:
        tokens: how many.
        joint: where they stand where clip and tokens are one sequence, "joint"; None if they never are.
    """

    def __init__(self, tokens: int, joint: slice | None = None) -> None:
        super().__init__()
        self.tokens, self.joint = tokens, joint

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        named: dict[str, Any] = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | (kwargs or {})
        queries, keys = named["query"].shape[-2], named["key"].shape[-2]
        kind = "own" if queries == keys else "cross" if keys == self.tokens else ""
        if kind == "own" and self.joint is not None and keys > self.tokens:
            kind = "joint"
        return self.at(kind, func, named) if kind else func(**named)

    def at(self, kind: str, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        """One such call."""
        raise NotImplementedError


class Seen(AttentionCalls):
    """Keeps queries, keys and masks, call by call."""

    def __init__(self, tokens: int, joint: slice | None = None) -> None:
        super().__init__(tokens, joint)
        self.calls: list[QueryKeyMask] = []
        self.cross = False

    def at(self, kind: str, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        self.cross |= kind in ("cross", "joint")
        self.calls.append((named["query"], named["key"], named.get("attn_mask")))
        return func(**named)


class Shown(AttentionCalls):
    """Attends with the weights that were seen, of the last rows of a batch; the first `empty` clips are guidance's.

    Args:
        seen: the calls of the other run, in order.
        align: for each token whose map it takes, -1 its own.
        factors: of each token's map.
        kept: whether maps of cross-attention are taken, and those of self-attention.
        empty: clips of the batch under the empty caption; 0 without guidance.
    """

    def __init__(self, seen: Seen, align: Tensor, factors: Tensor, kept: tuple[bool, bool], empty: int) -> None:
        super().__init__(seen.tokens, seen.joint)
        self.calls, self.align, self.factors, self.kept, self.empty = iter(seen.calls), align, factors, kept, empty

    def at(self, kind: str, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        query, key, mask = next(self.calls)
        out, value, scale = func(**named), named["value"], named.get("scale")
        half = len(value) // 2 if self.empty and len(value) % 2 == 0 and len(value) > self.empty else 0
        if kind == "own":
            if self.kept[1]:
                out = torch.cat([out[:half], func(**named | {"query": query, "key": key, "attn_mask": mask})[half:]])
            return out
        weights = _weights(named["query"], named["key"], named.get("attn_mask"), scale)
        align, factors = self.align.to(weights.device), self.factors.to(weights)
        if kind == "joint":
            if any(self.kept) or not bool((factors == 1).all()):
                weights = self._joint(weights, _weights(query, key, mask, scale), align, factors)
                out = torch.cat([out[:half], (weights.to(value.dtype) @ value)[half:]])
            return out
        if self.kept[0]:
            theirs = _weights(query, key, mask, scale)[..., align.clamp(min=0)]
            weights = torch.where(align >= 0, theirs, weights)
        elif bool((factors == 1).all()):
            return out
        return torch.cat([out[:half], ((weights * factors).to(value.dtype) @ value)[half:]])

    def _joint(self, own: Tensor, theirs: Tensor, align: Tensor, factors: Tensor) -> Tensor:
        """Weights of a sequence of clip and tokens, `(row, head, query, key)`: tokens ask as they do in the target.

        Of what places of the clip look at, the part that goes to tokens is taken as in cross-attention, the part that
        goes to the clip as in self-attention, scaled so that both are all there is.
        """
        at = self.joint or slice(0, 0)
        clip = torch.ones(own.shape[-1], dtype=torch.bool, device=own.device)
        clip[at] = False
        tokens = own[..., clip, at]
        if self.kept[0]:
            tokens = torch.where(align >= 0, theirs[..., clip, at][..., align.clamp(min=0)], tokens)
        seen = (theirs if self.kept[1] else own)[..., clip, :][..., clip]
        seen = seen * (1 - tokens.sum(-1, keepdim=True)).clamp(min=0) / seen.sum(-1, keepdim=True)
        rows = torch.zeros_like(own[..., clip, :])
        rows[..., at], rows[..., clip] = tokens * factors, seen
        weights = own.clone()
        weights[..., clip, :] = rows
        return weights
