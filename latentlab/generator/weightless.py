"""A generator of shapes alone: the same code, run on tensors that have a device and a dtype, and no numbers.

What a job will take of memory is read off that way before it starts: `Bytes` counts what lives at each operation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import ref

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latentlab.generator.generator import Generator
from latentlab.generator.pipelines.foreign import OfPipeline, networks_of

T = TypeVar("T")
AnyGenerator = TypeVar("AnyGenerator", bound=Generator)


class Weightless:
    """Mixed into a generator whose weights are shapes, which are all that there is to know them by."""

    def fingerprint(self) -> str:
        return "shapes alone"


def weightless(generator: AnyGenerator) -> AnyGenerator:
    """The generator with tensors of shapes alone in the place of all weights; it is left as it is.

    Its calls answer shapes alone, within `Bytes`.
    """
    return known_by_shapes(bare(generator, _named(generator).values()))


def bare(thing: T, networks: Iterable[nn.Module], device: torch.device | None = None) -> T:
    """A copy of what holds networks, their tensors shapes alone; None leaves them where they are, and "meta" is the
    CPU."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    tensors = {id(t): t for network in networks for t in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(thing, {key: _shape_of(mode, tensor, device) for key, tensor in tensors.items()})


def known_by_shapes(generator: AnyGenerator) -> AnyGenerator:
    """The generator, which does not look for bytes in its weights."""
    own: Any = object.__new__(type(type(generator).__name__, (Weightless, type(generator)), {}))
    vars(own).update(vars(generator))
    return own


def shape_like(generator: Generator, *shape: int) -> Tensor:
    """A tensor of a shape alone, float32, where a weightless generator computes."""
    weight = next(iter(generator.modules[0].state_dict().values()))
    return weight.new_empty(shape, dtype=torch.float32, device=generator.device)


def network_bytes(generator: Generator) -> dict[str, int]:
    """Bytes of the weights, by network."""
    found = {}
    for name, network in _named(generator).items():
        tensors = {id(t): t for t in (*network.parameters(), *network.buffers())}
        found[name] = sum(t.numel() * t.element_size() for t in tensors.values())
    return found


class Bytes(TorchDispatchMode):
    """Counts the bytes of the tensors that live, those made within it, at each operation.

    Numbers that are asked of tensors that have none are taken to be 0, and what is asked to be true is.

    Attributes:
        peak: the most that lived at once, with what a convolution of the CPU takes for itself, see `scratch`.
        alive: what lives now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._known: dict[int, ref] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Mapping | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            return torch.zeros((), dtype=args[0].dtype).item() if args[0].dtype != torch.bool else True
        for tensor in tree_leaves((args, kwargs)):
            self._seen(tensor, counts=False)  # it was there before, as weights are, or is known
        answer = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(answer):
            self._seen(tensor, counts=True)
        if func is torch.ops.aten.convolution.default:
            self.peak = max(self.peak, self.alive + scratch(*args, answer=answer.shape))
        return answer

    def _seen(self, tensor: Any, *, counts: bool) -> None:
        if not isinstance(tensor, Tensor) or (storage := tensor.untyped_storage())._cdata in self._known:
            return
        key, size = storage._cdata, storage.nbytes() if counts else 0

        def died(_: ref) -> None:
            if self._known.pop(key, None) is not None:
                self.alive -= size

        self._known[key] = ref(storage, died)
        self.alive += size
        self.peak = max(self.peak, self.alive)


@contextmanager
def unweighed() -> Iterator[Bytes]:
    """For calls of a weightless generator, without gradients; counts the bytes that they take."""
    with torch.no_grad(), Bytes() as count:
        yield count


def scratch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *,
    answer: torch.Size,
) -> int:
    """Bytes that a convolution of the CPU takes for itself, as PyTorch's own choice of a kernel says.

    Its plain kernels unfold the input, a column of all that the filter sees for each place of the answer (im2col);
    oneDNN's, measured on eight shapes, copy the input once into a layout of their own. What cuDNN takes is not counted.
    """
    if x.device.type != "cpu":
        return 0
    given = x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, None
    kernel = torch._C._select_conv_backend(*given).name
    if kernel.startswith("Mkldnn"):
        return x.numel() * x.element_size()
    if not kernel.startswith("Slow") or all(side == 1 for side in weight.shape[2:]):
        return 0
    places, channels = (x.shape[2:], answer[1]) if transposed else (answer[2:], x.shape[1])
    return len(x) * channels * math.prod(weight.shape[2:]) * math.prod(places) * x.element_size()


def _named(generator: Generator) -> dict[str, nn.Module]:
    """All networks of a generator, those that read captions and images too."""
    if isinstance(generator, OfPipeline):
        return networks_of(generator.pipe)
    networks = generator.networks
    return dict(networks) if isinstance(networks, Mapping) else {type(n).__name__: n for n in networks}


def _shape_of(mode: FakeTensorMode, tensor: Tensor, device: torch.device | None) -> Tensor:
    place = device or tensor.device
    with mode:
        like = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu" if place.type == "meta" else place
        )
    return nn.Parameter(like, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else like
