"""A generator with adapters on: its layers add what the adapters say, for as long as a call of it lasts."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentlab.generator.adapter import Adapter, placed
from latentlab.generator.condition import Condition
from latentlab.generator.lock import alone
from latentlab.generator.update import Update
from latentlab.store import digest

if TYPE_CHECKING:
    from latentlab.generator.model import Model

M = TypeVar("M", bound="Model")
Strengths = Mapping[str | Path | Adapter, float]
T = TypeVar("T")
CODING, READING = ("autoencoder",), ("text_encoder", "text_encoder_2")  # roles that act beside the denoiser
Weighted = list[tuple[nn.Module, Update, float]]


def adapted(
    generator: M, adapters: Strengths, *, mask: Tensor | None = None, levels: tuple[float, float] | None = None
) -> M:
    """The generator with adapters on, see `Model.adapted`."""
    read = in_order(adapters)
    _check(read)
    low, high = (0.0, math.inf) if levels is None else sorted(map(float, levels))
    if low < 0 or math.isnan(low + high):
        raise ValueError(f"levels are a range of flow times between 0 and 1, such as (0.5, 1.0), got {levels}")
    networks = generator.adaptable
    _check_not_compiled(networks)
    updates: dict[str, Weighted] = {role: [] for role in networks}
    for adapter, strength in read.items():
        for place, update in placed(adapter, generator).items():
            role, name = place.split(".", 1)
            if strength != 0:  # of which nothing is added, so that every bit stays
                updates[role].append((networks[role].get_submodule(name), update, strength))
    where = None if mask is None else on_grid(mask, generator.latent_shape[1:])
    found = generator.knowing({word: row for adapter in read for word, row in adapter.words.items()})
    changed = copy.copy(found)
    drawing = [u for role, own in updates.items() if role not in (*CODING, *READING) for u in own]

    def predict(y: Tensor, s: float, condition: Condition) -> Tensor:
        if not drawing or not low <= s <= high:
            return found.predict(y, s, condition)
        with alone(*found.modules), on(drawing):
            within = found.predict(y, s, condition)
        if where is None:
            return within
        return torch.lerp(found.predict(y, s, condition), within, where.to(within))

    def under(method: Callable[..., T], roles: Sequence[str]) -> Callable[..., T]:
        """A method of the generator, with the adapters of some networks on."""

        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> T:
            with alone(*found.modules), on([u for role in roles for u in updates.get(role, [])]):
                return method(*args, **kwargs)

        return call

    told: dict[str, Any] = {
        "of": [[adapter.name, adapter.digest, strength] for adapter, strength in read.items()],
        "levels": None if levels is None else [low, high],
        "mask": None if where is None else digest(where.float().cpu().contiguous().numpy()),
    }

    def settings() -> dict[str, Any]:
        own = found.settings()
        return {**own, "adapters": [*own.get("adapters", []), told]}

    changed.predict = predict  # type: ignore[method-assign]
    for roles, methods in ((CODING, ("encode", "decode")), (READING, ("condition",))):
        if any(updates.get(role) for role in roles):
            for name in methods:
                setattr(changed, name, under(getattr(found, name), roles))
    changed.settings = settings  # type: ignore[method-assign]
    return changed


def in_order(adapters: Strengths) -> dict[Adapter, float]:
    """Adapters, read where they are files, in an order of their own: sums round alike however they were named."""
    read = {key if isinstance(key, Adapter) else Adapter.read(key): float(x) for key, x in adapters.items()}
    return dict(sorted(read.items(), key=lambda item: item[0].digest))


@contextmanager
def on(updates: Weighted) -> Iterator[None]:
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


def on_grid(mask: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """A mask `(..., frame, height, width)`, 1 inside, of a clip or of latents, on the latents' grid.

    A latent is inside where any pixel that it codes is. Latents that code several frames code the first one alone, as
    causal autoencoders do.

    Raises:
        ValueError: values beyond [0, 1], several clips, or a size of which latents are no whole parts.
    """
    if mask.ndim < 3 or mask[..., 0, 0, 0].numel() != 1:
        raise ValueError(f"a region is one mask (frame, height, width) for all clips, got shape {tuple(mask.shape)}")
    mask = mask.reshape(1, 1, *mask.shape[-3:]).float()
    if not (mask >= 0).all() or not (mask <= 1).all():
        raise ValueError(f"a mask lies within 0 and 1, got {float(mask.min()):g} to {float(mask.max()):g}")
    frames, height, width = mask.shape[2:]
    if height % grid[1] or width % grid[2]:
        raise ValueError(f"a mask of {height} x {width} does not fit latents of {grid[1]} x {grid[2]}")
    mask = F.max_pool3d(mask, (1, height // grid[1], width // grid[2]))
    if frames in (1, grid[0]):
        return mask.expand(-1, -1, grid[0], -1, -1)
    step = (frames - 1) // (grid[0] - 1) if grid[0] > 1 else 0
    if not step or (grid[0] - 1) * step + 1 != frames:
        raise ValueError(f"a mask of {frames} frames does not fit latents of {grid[0]}")
    return torch.cat([mask[:, :, :1], F.max_pool3d(mask[:, :, 1:], (step, 1, 1))], dim=2)


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
