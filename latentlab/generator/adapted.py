"""Adapters as a guide: the layers of a network add what they say, for as long as a call of it lasts."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import get_ident
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from latentlab.generator.adapter import Adapter, placed
from latentlab.generator.condition import Condition
from latentlab.generator.grid import check_mask, to_grid
from latentlab.generator.guides import Guide
from latentlab.generator.lock import alone
from latentlab.generator.solver import Velocity
from latentlab.generator.update import Update
from latentlab.generator.velocity_model import VelocityModel
from latentlab.tensors import tensor_digest

M = TypeVar("M", bound=VelocityModel)
Strengths = Mapping[str | Path | Adapter, float]
Placed = dict[str, list[tuple[str, Update, float]]]  # by role of the network: layer, update, strength
BESIDE = ("autoencoder", "text_encoder", "text_encoder_2")  # networks that no solver calls


def adapting(
    generator: M, adapters: Strengths, *, mask: Tensor | None = None, levels: tuple[float, float] | None = None
) -> tuple[M, Adapters]:
    """The generator that knows the adapters' words, and the guide that puts them on, see `Model.adapted`."""
    read = in_order(adapters)
    _check(read)
    low, high = (0.0, math.inf) if levels is None else sorted(map(float, levels))
    if low < 0 or math.isnan(low + high):
        raise ValueError(f"levels are a range of flow times between 0 and 1, such as (0.5, 1.0), got {levels}")
    networks = generator.adaptable
    _check_not_compiled(networks)
    updates = placed_all(generator, read)
    beside = {role: own for role, own in updates.items() if role in BESIDE}
    found = generator.knowing({word: row for adapter in read for word, row in adapter.words.items()})
    found = found.having(merged(networks, beside)) if beside else found
    drawing = {role: networks[role] for role in updates if role not in BESIDE}
    where = None if mask is None else _region(mask, generator.latent_shape[1:])
    return found, Adapters(read, drawing, updates, where, None if levels is None else (low, high))


class Adapters(Guide):
    """The guide of `Model.adapted`: within its region and levels, the velocity of the network with adapters on.

    Args:
        adapters: strengths by adapter, which results tell.
        networks: by role.
        updates: of their layers.
        mask: `(clip or 1, 1, frame, height, width)` on the latents' grid; None is everywhere.
        levels: lowest and highest flow time; None is all.
    """

    def __init__(
        self,
        adapters: Mapping[Adapter, float],
        networks: Mapping[str, nn.Module],
        updates: Placed,
        mask: Tensor | None = None,
        levels: tuple[float, float] | None = None,
    ) -> None:
        self.adapters, self.networks, self.mask, self.levels = dict(adapters), dict(networks), mask, levels
        self.layers = [
            (network.get_submodule(name), update, strength)
            for role, network in networks.items()
            for name, update, strength in updates[role]
        ]

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        if not self.layers:
            return velocity
        low, high = self.levels or (0.0, math.inf)

        def field(y: Tensor, s: float) -> Tensor:
            if not low <= s <= high:
                return velocity(y, s)
            with alone(*self.networks.values()), on(self.layers):
                within = velocity(y, s)
            return within if self.mask is None else torch.lerp(velocity(y, s), within, condition.extras["region"].to(y))

        return field

    def settings(self) -> dict[str, Any]:
        return {
            "guide": "adapters",
            "adapters": [[adapter.name, adapter.digest, strength] for adapter, strength in self.adapters.items()],
            "mask": None if self.mask is None else tensor_digest(self.mask),
            "levels": None if self.levels is None else list(self.levels),
        }

    def tensors(self) -> dict[str, Tensor]:
        return {} if self.mask is None else {"region": self.mask}


def placed_all(generator: VelocityModel, adapters: Mapping[Adapter, float]) -> Placed:
    """Updates of all adapters by network; of strength 0 none, so that every bit stays."""
    found: Placed = {}
    for adapter, strength in adapters.items():
        for place, update in placed(adapter, generator).items():
            role, name = place.split(".", 1)
            if strength != 0:
                found.setdefault(role, []).append((name, update, strength))
    return found


def merged(networks: Mapping[str, nn.Module], updates: Placed) -> dict[str, nn.Module]:
    """Copies of the networks whose weights hold the updates, added in float32."""
    copies = {}
    for role, own in updates.items():
        copies[role] = copy.deepcopy(networks[role])
        for name, update, strength in own:
            for part, delta in update.delta().items():
                parameter: Tensor = getattr(copies[role].get_submodule(name), part)
                parameter.data.copy_(parameter.float() + strength * delta.to(parameter.device))
    return copies


def in_order(adapters: Strengths) -> dict[Adapter, float]:
    """Adapters, read where they are files, in an order of their own: sums round alike however they were named."""
    read = {key if isinstance(key, Adapter) else Adapter.read(key): float(x) for key, x in adapters.items()}
    return dict(sorted(read.items(), key=lambda item: item[0].digest))


class Addition(Protocol):
    """What is added to a layer's output, an `Update` or another."""

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        """At the input x."""
        ...


@contextmanager
def on(updates: Sequence[tuple[nn.Module, Addition, float]]) -> Generator[None]:
    """Adds `strength * update` to the layers' outputs, for this thread and as long as the block lasts.

    Whoever shares the layers with other threads holds them, see `alone`.
    """
    own = get_ident()
    with ExitStack() as stack:
        for layer, update, strength in updates:

            def hook(layer: nn.Module, inputs: Any, output: Tensor, update=update, strength=strength) -> Tensor | None:
                return output + strength * update.of(layer, inputs[0]) if get_ident() == own else None

            handle = layer.register_forward_hook(hook)
            stack.callback(handle.remove)
        yield


def _region(mask: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """A region on the grid of latents, of `(frame, height, width)` for all clips, or a mask of each; one frame is all.

    Raises:
        ValueError: no mask, or one whose frames latents cannot share.
    """
    mask = mask[None, None] if isinstance(mask, Tensor) and mask.ndim == 3 else mask
    check_mask(mask)
    frames = grid[0] if mask.shape[2] == 1 else mask.shape[2]
    return to_grid(mask.expand(-1, -1, frames, -1, -1), grid)


def _check(strengths: Mapping[Adapter, float]) -> None:
    names, words = [a.name for a in strengths], [word for a in strengths for word in a.words]
    for kind, given in (("adapters are called", names), ("adapters have the word", words)):
        if twice := sorted({name for name in given if given.count(name) > 1}):
            raise ValueError(f"two {kind} {twice[0]!r}; rename one, by its file or Adapter(..., name=)")
    for adapter, strength in strengths.items():
        if not math.isfinite(strength):
            raise ValueError(f"a strength must be finite, got {strength} for {adapter.name!r}")


def _check_not_compiled(networks: Mapping[str, nn.Module]) -> None:
    for role, network in networks.items():
        if network._compiled_call_impl is not None:
            raise ValueError(
                f"the {role} is compiled and would not see adapters; load the generator anew, merge them into it "
                "(latentlab.control.merge), and compile that"
            )
