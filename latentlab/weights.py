"""Weights on disk: one safetensors file holds a network's tensors and, in its header, the shape of the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import as_file, files
from itertools import chain
from pathlib import Path
from threading import get_ident
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from latentlab.store import digest
from latentlab.tensors import read_tensors, write_tensors

Network = TypeVar("Network", bound=nn.Module)
SHIPPED = ("fashion-mnist",)  # models that come with latentlab beside the video model, by their folders
BLOCK = 1024  # words that `state_of` sums


def save_weights(path: Path, model: nn.Module, config: dict[str, Any], *, dtype: torch.dtype = torch.float32) -> None:
    """Writes a network atomically, floating tensors as `dtype`, `config` as JSON in the header."""
    state = model.state_dict()
    tensors = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}
    write_tensors(path, "config", config, tensors)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (as float32) and config of a file written by `save_weights`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file of this project.
    """
    tensors, config = read_tensors(path, "config", "weights")
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}, config


def read_network(path: Path, make: Callable[[dict[str, Any]], Network]) -> Network:
    """The network of a file written by `save_weights`.

    It is made first without memory, and only what has the file's own tensors is made at all.

    Args:
        path: of the file.
        make: the network of a config.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a file, or one whose header speaks of another network than its tensors are of.
    """
    tensors, config = read_weights(path)
    try:
        with _at_most(2 * len(tensors) + 64), torch.device("meta"), _ShapesAlone():
            plan = make(config)
    except Exception as error:  # whatever a wrong number leads to
        raise ValueError(
            f"{path} is damaged or no file of this network: nothing can be made of its header "
            f"{json.dumps(config)[:300]} ({type(error).__name__}: {error})"
        ) from error
    planned, found = ({name: tuple(t.shape) for name, t in state.items()} for state in (plan.state_dict(), tensors))
    if wrong := [name for name in sorted(planned | found) if planned.get(name) != found.get(name)]:
        said = "; ".join(f"{n} is {found.get(n, 'not there')}, not {planned.get(n, 'known')}" for n in wrong[:3])
        raise ValueError(f"{path} is damaged or no file of this network: of its tensors, against its header, {said}")
    room = 2**24 + 16 * sum(t.numel() for t in tensors.values())
    if (size := sum(t.numel() for t in plan.buffers())) > room:  # those that no file holds
        raise ValueError(f"{path} is damaged or no file of this network: by its header it holds {size:,} numbers")
    if broken := [name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()]:
        raise ValueError(f"{path} is damaged: {', '.join(broken[:3])} of its tensors hold NaN or infinity")
    network = make(config)
    network.load_state_dict(tensors)
    return network


SAME_SHAPE = ("normal_", "uniform_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_", "triu_")


class _ShapesAlone(TorchFunctionMode):
    """What has no numbers is not drawn or changed: torch would do so by its compiler, whose import takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        del types
        given = kwargs or {}
        if func.__name__ in SAME_SHAPE:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@contextmanager
def _at_most(count: int) -> Generator[None]:
    """Stops the making of a network, in this thread, as soon as it has more parameters."""
    own, made = get_ident(), 0

    def another(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal made
        del module, name, parameter
        made += get_ident() == own
        if made > count:
            raise ValueError(f"more than {count} parameters")

    hook = register_module_parameter_registration_hook(another)
    try:
        yield
    finally:
        hook.remove()


def read_pickled(path: str | Path, what: str, *, device: str | torch.device = "cpu") -> Any:
    """What `torch.save` wrote, plain values and tensors; nothing in the file is run.

    Args:
        path: of the file.
        what: it should be, for the message.
        device: of the tensors.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or something else.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a type of its own for every defect, some of which advise to run what is in the file
        raise ValueError(f"{path} is no readable {what}: it is damaged, cut short, or something else") from error


class HasState(Protocol):
    """A network, or what has tensors by name like one."""

    def state_dict(self) -> dict[str, Any]: ...


@runtime_checkable
class _MadeOfTensors(Protocol):
    """A quantised weight, which has no bytes of its own."""

    def __tensor_flatten__(self) -> tuple[list[str], Any]: ...


def fingerprint(*modules: HasState) -> str:
    """SHA-256 over names, shapes and bytes of all tensors: equal weights, equal fingerprint.

    Half precision is hashed as it is, all else as float32, whatever the device; a quantised weight by the tensors that
    it is made of.
    """

    def parts() -> Iterator[Any]:
        for module in modules:
            for name, value in _tensors(module):
                yield f"{name} {tuple(value.shape)}"
                half = value.is_floating_point() and value.element_size() < 4
                flat = (value if half else value.float()).detach().cpu().contiguous().view(-1)
                yield flat.view(torch.uint8).numpy()

    return digest(parts())


def state_of(*modules: nn.Module) -> str:
    """What the weights of networks are now, quicker than their fingerprint: equal until a value changes, by any way.

    SHA-256 over the sums of every `BLOCK` words of eight bytes, as whole numbers, which no device and no order rounds.
    All of memory is read once, as one call of the networks does. What it does not notice: words that change places
    within a block, or change so that their sum stays.
    """
    names, sums = [], []
    for module in modules:
        for name, value in _tensors(module):
            names.append(f"{name} {tuple(value.shape)} {value.dtype}")
            sums += _sums(value.detach())
    return digest(*names, torch.cat([part.cpu() for part in sums]).numpy() if sums else "")


def _sums(value: Tensor) -> list[Tensor]:
    flat = (value if value.is_cuda else value.cpu()).contiguous().view(-1).view(torch.uint8)
    whole = len(flat) // 8
    words, rest = flat[: 8 * whole].view(torch.int64), flat[8 * whole :].long()
    blocks = whole // BLOCK * BLOCK
    parts = [words[:blocks].view(-1, BLOCK).sum(1), words[blocks:], rest]
    return [part for part in parts if len(part)]


def _tensors(module: HasState) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a network by name, in the order of their names."""
    for name, value in sorted(module.state_dict().items()):
        yield from _inner(name, value)


def _inner(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if not isinstance(value, _MadeOfTensors):
        if not isinstance(value, Tensor):
            return iter([])
        with torch._C.DisableTorchFunctionSubclass():  # a parameter of packed bytes, such as gguf's, is read as bytes
            return iter([(name, value.detach().as_subclass(Tensor))])
    inner = value.__tensor_flatten__()[0]
    return chain.from_iterable(_inner(f"{name}.{part}", getattr(value, part)) for part in sorted(inner))


def shipped(name: str = "") -> AbstractContextManager[Path]:
    """Folder of the weights that come with latentlab, for a `with` block: of the video model, or one of `SHIPPED`."""
    return as_file(files("latentlab") / "shipped" / name)
