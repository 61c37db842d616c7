"""How an adapter changes one layer: by a product of two low-rank factors, or by a whole difference of its weights.

Both leave the layer as it is and say what to add to its output, for the output is linear in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.shapes import in_a_line

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
LINEAR = (nn.Linear, *CONVOLUTIONS)  # layers whose weight is a matrix, of windows for a convolution


@dataclass(frozen=True)
class LowRank:
    """W becomes W + (alpha / r) B A (Hu et al. 2022, section 4.1).

    Attributes:
        down: A, `(r, inputs)`, for a convolution `(r, inputs, *window)`.
        up: B, `(outputs, r)`, for a convolution `(outputs, r, 1, ...)`.
        alpha: as peft and kohya's trainers write it; r where nothing was said, which is a factor of 1.
        bias: what is added to the layer's bias, of any rank, as some files have it.
    """

    down: Float[Tensor, "r ..."]
    up: Float[Tensor, "output r ..."]
    alpha: float
    bias: Float[Tensor, " output"] | None = None

    __repr__ = in_a_line

    @property
    def rank(self) -> int:
        return len(self.down)

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        """What is added to the layer's output at `x`."""
        down, up = self.down.to(x.device, x.dtype), self.up.to(x.device, x.dtype)
        if isinstance(layer, CONVOLUTIONS):
            raised = _CONVOLUTIONS[x.ndim](layer._conv_forward(x, down, None), up)  # whatever its stride and padding
        else:
            raised = F.linear(F.linear(x, down), up)
        added = raised * (self.alpha / self.rank)
        if self.bias is None:
            return added
        bias = self.bias.to(x.device, x.dtype)
        return added + (bias if isinstance(layer, nn.Linear) else bias.reshape(-1, *[1] * (x.ndim - 2)))

    def delta(self) -> dict[str, Tensor]:
        """What is added to the layer's parameters, by their names, in float32."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        found = {"weight": (self.alpha / self.rank * product).reshape(len(self.up), *self.down.shape[1:])}
        return found if self.bias is None else {**found, "bias": self.bias.float()}

    def tensors(self) -> dict[str, Tensor]:
        """By the names that peft's files have."""
        found = {"lora_A.weight": self.down, "lora_B.weight": self.up}
        return found if self.bias is None else {**found, "diff_b": self.bias}

    def misfit(self, layer: nn.Module) -> str | None:
        """Why it is no update of this layer; None if it is one."""
        if not takes_low_rank(layer):
            return f"a {type(layer).__name__} takes no low-rank update"
        weight = layer.get_parameter("weight").shape
        inside = self.up.shape[1:] == (self.rank, *[1] * (len(weight) - 2))
        if (len(self.up), *self.down.shape[1:]) == tuple(weight) and inside:
            return None if self.bias is None else _misfit("bias", self.bias, layer)
        return f"A {tuple(self.down.shape)} and B {tuple(self.up.shape)} for a weight {tuple(weight)}"


@dataclass(frozen=True)
class Whole:
    """W becomes W + D: the difference of two trainings.

    Attributes:
        weight, bias: what is added to the parameters of these names, of their shapes; None adds nothing.
    """

    weight: Tensor | None = None
    bias: Tensor | None = None

    __repr__ = in_a_line

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        """What is added to the layer's output at `x`."""
        own = layer.get_parameter("weight")
        weight = (torch.zeros_like(own) if self.weight is None else self.weight).to(x.device, x.dtype)
        bias = None if self.bias is None else self.bias.to(x.device, x.dtype)
        match layer:
            case nn.Linear():
                return F.linear(x, weight, bias)
            case nn.GroupNorm():
                return F.group_norm(x, layer.num_groups, weight, weight * 0 if bias is None else bias, layer.eps)
            case nn.LayerNorm():
                return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
            case nn.ConvTranspose2d():
                padding: Any = layer.padding
                more = layer.output_padding, layer.groups, layer.dilation
                return F.conv_transpose2d(x, weight, bias, layer.stride, padding, *more)
            case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
                return layer._conv_forward(x, weight, bias)  # whatever its stride and padding
            case _:
                raise TypeError(f"a {type(layer).__name__} takes no difference of weights")

    def delta(self) -> dict[str, Tensor]:
        """What is added to the layer's parameters, by their names, in float32."""
        return {name: t.float() for name, t in (("weight", self.weight), ("bias", self.bias)) if t is not None}

    def tensors(self) -> dict[str, Tensor]:
        """By the names that files of whole differences have."""
        return {name: t for name, t in (("diff", self.weight), ("diff_b", self.bias)) if t is not None}

    def misfit(self, layer: nn.Module) -> str | None:
        """Why it is no update of this layer; None if it is one."""
        if not isinstance(layer, WHOLE):
            return f"a {type(layer).__name__} takes no difference of weights"
        given = (("weight", self.weight), ("bias", self.bias))
        return next((why for name, t in given if t is not None and (why := _misfit(name, t, layer))), None)


Update = LowRank | Whole
WHOLE = (*LINEAR, nn.GroupNorm, nn.LayerNorm, nn.ConvTranspose2d)  # layers whose output is linear in their parameters
_CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}  # by axes of what comes in


def takes_low_rank(layer: nn.Module) -> bool:
    """Whether the layer is one matrix: linear, or a convolution that is not in groups."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, CONVOLUTIONS) and layer.groups == 1)


def own_parameters(layer: nn.Module) -> dict[str, Tensor]:
    """The layer's own parameters by name, "weight" and "bias" of most."""
    return dict(layer.named_parameters(recurse=False))


def _misfit(name: str, given: Tensor, layer: nn.Module) -> str | None:
    own = own_parameters(layer).get(name)
    if own is not None and own.shape == given.shape:
        return None
    return f"a difference {tuple(given.shape)} for a {name} {None if own is None else tuple(own.shape)}"


def low_rank(delta: Float[Tensor, "output ..."], rank: int, bias: Tensor | None = None) -> LowRank:
    """The nearest update of a rank to a difference of weights (Eckart & Young 1936), both factors equally large."""
    u, s, v = torch.linalg.svd(delta.float().flatten(1), full_matrices=False)
    rank = min(rank, len(s))
    root = s[:rank].sqrt()
    down = (root[:, None] * v[:rank]).reshape(rank, *delta.shape[1:])
    up = (u[:, :rank] * root).reshape(len(delta), rank, *[1] * (delta.ndim - 2))
    return LowRank(down.contiguous(), up.contiguous(), float(rank), bias)
