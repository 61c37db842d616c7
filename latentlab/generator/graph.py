"""Whole loops of a solver as CUDA graphs: thousands of launches become one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor

KEPT = 4  # graphs at a time; each holds the memory of its whole loop
Tensors = Mapping[str, Tensor]
T = TypeVar("T")


class Graphs:
    """Functions of tensors, recorded the first time they are called and replayed after that.

    What a recorded function takes from elsewhere (levels, guidance, weights) is as it was when it was recorded, so all
    of that belongs into the key. It may not read from the device.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Tensors, Callable[..., Any]]] = {}

    def __call__(self, key: Hashable, f: Callable[[Tensors], T], tensors: Tensors) -> T:
        """`f(tensors)`, as a copy that later calls leave alone; shapes and dtypes are added to the key."""
        key = (key, *((name, t.shape, t.dtype, t.device) for name, t in tensors.items()))
        if key not in self._known:
            if len(self._known) == KEPT:
                del self._known[next(iter(self._known))]
            inputs = {name: t.clone() for name, t in tensors.items()}
            self._known[key] = inputs, self.record(f, inputs)
        inputs, replay = self._known[key]
        for name, t in tensors.items():
            inputs[name].copy_(t)
        return deepcopy(replay())

    def record(self, f: Callable[[Tensors], T], inputs: Tensors) -> Callable[[], T]:
        """A function that runs `f` again on whatever `inputs` then hold."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            f(inputs)  # libraries choose kernels and take their workspaces on the first call
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = f(inputs)

        def replay() -> T:
            graph.replay()
            return outputs

        return replay
