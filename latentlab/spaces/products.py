"""Algebra of low-rank products (alpha / r) B A that never forms one: their inner products, and sums of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.adapter import Adapter, placed
from latentlab.generator.generator import Generator
from latentlab.generator.pipelines.pipeline import Pipeline
from latentlab.generator.update import LowRank, low_rank

Products = dict[str, LowRank]  # of one adapter, by the name that its file has for the layer


def products_of(adapter: Adapter, generator: Generator) -> Products:
    """An adapter's updates on the CPU, in float32.

    Raises:
        ValueError: words of its own, or a whole difference of weights, which are no products.
    """
    if adapter.words:
        raise ValueError(
            f"adapter {adapter.name!r} has a word of its own, {next(iter(adapter.words))!r}, not weights alone"
        )
    found = {}
    *_, main = generator.adaptable
    for place, update in placed(adapter, generator).items():
        if not isinstance(generator, Pipeline):  # as files of a model of ours call the denoiser's layers
            place = place.removeprefix(f"{main}.")
        if not isinstance(update, LowRank):
            raise ValueError(
                f"adapter {adapter.name!r} holds a whole difference of {place}; control.extract makes low ranks"
            )
        tensors = {"down": update.down, "up": update.up, "bias": update.bias}
        found[place] = replace(update, **{name: None if t is None else t.float().cpu() for name, t in tensors.items()})
    return found


def inner(first: Sequence[LowRank | None], second: Sequence[LowRank | None]) -> Float[Tensor, "first second"]:
    """Inner products of the differences of one layer, tr(A_i' B_i' B_j A_j) and those of biases; 0 where none is.

    >>> one, two = LowRank(torch.ones(1, 3), torch.ones(2, 1), 1.0), LowRank(torch.ones(2, 3), torch.ones(2, 2), 4.0)
    >>> inner([one, None], [two])  # twice three entries of 1 with those of 4
    tensor([[24.],
            [ 0.]], dtype=torch.float64)
    """
    total = torch.zeros(len(first), len(second), dtype=torch.float64)
    sides = [[(i, update) for i, update in enumerate(side) if update is not None] for side in (first, second)]
    if not all(sides):
        return total
    (rows, downs, ups, biases), (columns, their_downs, their_ups, their_biases) = map(_stacked, sides)
    total.index_put_((rows[:, None], columns[None]), (downs @ their_downs.T) * (ups @ their_ups.T), accumulate=True)
    for i, bias in biases:
        for j, other in their_biases:
            total[i, j] += bias @ other
    return total


def combined(held: Sequence[tuple[float, LowRank]], rank: int | None = None) -> LowRank:
    """The sum of products, each by its share: side by side where the layer holds so many ranks, else by its SVD.

    Args:
        held: shares and products of one layer.
        rank: the nearest of this rank; None is exact.

    >>> one = LowRank(torch.ones(1, 3), torch.ones(2, 1), 1.0)
    >>> combined([(0.25, one), (0.5, one)]).delta()["weight"][0]
    tensor([0.7500, 0.7500, 0.7500])
    """
    biases = [share * update.bias for share, update in held if update.bias is not None]
    bias = torch.stack(biases).sum(0) if biases else None
    down = torch.cat([update.down for _, update in held])
    up = torch.cat([update.up * (share * update.alpha / update.rank) for share, update in held], 1)
    whole = LowRank(down, up, float(len(down)), bias)
    most = min(len(up), down[0].numel())
    if rank is None and len(down) <= most:
        return whole
    return low_rank(whole.delta()["weight"], most if rank is None else rank, bias)


def _stacked(side: Sequence[tuple[int, LowRank]]) -> tuple[Tensor, Tensor, Tensor, list[tuple[int, Tensor]]]:
    """Of each rank: whose it is, its row of A and its column of B, scaled; and the biases, in float64."""
    owners = torch.tensor([i for i, update in side for _ in range(update.rank)])
    downs = torch.cat([update.down.double().flatten(1) for _, update in side])
    ups = torch.cat([update.up.double().flatten(1).T * (update.alpha / update.rank) for _, update in side])
    return owners, downs, ups, [(i, update.bias.double()) for i, update in side if update.bias is not None]
