"""Reading and moving what goes on inside a network, for as long as a `with` block lasts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any

from torch import Tensor, nn

from latentlab.checks import clear_errors

MIDDLES = ("middle", "mid_block")  # what U-Nets call their innermost block
STACKS = ("blocks", "transformer_blocks", "temporal_transformer_blocks")  # what transformers call their blocks
Replacement = Callable[[Tensor], Tensor | None]


@contextmanager
@clear_errors
def hooked(layer: nn.Module, change: Replacement) -> Iterator[None]:
    """Shows the layer's output to `change` at every call; what it returns, unless None, goes on in its place.

    The hook is gone after the block, however it ends; other threads, which may share the layer, do not meet it. Of
    layers with several outputs it is the first tensor.

    >>> import torch
    >>> layer = nn.Identity()
    >>> with hooked(layer, lambda h: h + 1):
    ...     inside = layer(torch.zeros(1))
    >>> inside, layer(torch.zeros(1))
    (tensor([1.]), tensor([0.]))
    """

    own = get_ident()

    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        del module, inputs
        if get_ident() != own:
            return None
        if isinstance(output, Tensor):
            return change(output)
        at = next((i for i, part in enumerate(output) if isinstance(part, Tensor)), None)
        if at is None:
            raise TypeError(f"the layer returns {type(output).__name__} without a tensor; name another layer")
        changed = change(output[at])
        return None if changed is None else type(output)([*output[:at], changed, *output[at + 1 :]])

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@dataclass
class Passes:
    """How often clips passed networks: calls times the clips in each."""

    clips: int = 0


@contextmanager
def counted(networks: Sequence[nn.Module]) -> Generator[Passes]:
    """Counts the clips that whole networks are called with, such as a denoiser; autoencoders are called by halves.

    >>> import torch
    >>> layer = nn.Linear(2, 2)
    >>> with counted([layer]) as passes:
    ...     _ = layer(torch.zeros(3, 2)), layer(torch.zeros(1, 2))
    >>> passes.clips
    4
    """
    passes = Passes()

    def count(h: Tensor) -> None:
        passes.clips += len(h)

    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(hooked(network, count))
        yield passes


def find_layer(networks: Sequence[nn.Module], name: str | None = None) -> nn.Module:
    """A layer by name, or the innermost one: the middle of a U-Net, the middle block of a transformer.

    Args:
        networks: to look in, in this order.
        name: as in `named_modules`, "down.1.0"; None is the innermost.

    Raises:
        ValueError: there is none.
    """
    for network in networks:
        if name is not None:
            modules = dict(network.named_modules())
            if name in modules and name:
                return modules[name]
            continue
        parts = dict(network.named_children())
        for part in MIDDLES:
            if part in parts:
                return parts[part]
        for part in STACKS:
            if isinstance(found := parts.get(part), nn.ModuleList) and len(found):
                return found[len(found) // 2]
    if name is None:
        raise ValueError(
            f"no network has a layer called {', '.join(MIDDLES + STACKS)}; say layer=, see named_modules()"
        )
    names = [name for network in networks for name, _ in network.named_children()]
    raise ValueError(f"no layer {name!r}; there are {', '.join(names)}, and what is inside them")
