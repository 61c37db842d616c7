"""Adapters made of weights: the difference of two trainings as an adapter, and adapters merged into a generator."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from latentlab.checks import Count, clear_errors
from latentlab.generator.adapted import Strengths, in_order, merged, placed_all
from latentlab.generator.adapter import Adapter, base_of
from latentlab.generator.model import Model
from latentlab.generator.pipelines.pipeline import Pipeline
from latentlab.generator.update import WHOLE, Update, Whole, low_rank, own_parameters, takes_low_rank

M = TypeVar("M", bound=Model)


@clear_errors
def extract(tuned: Model, base: Model, rank: Count = 8, *, name: str = "extracted") -> Adapter:
    """What a generator learned beyond the one that it began from, as an adapter of that one.

    Of each matrix the nearest difference of a rank is kept, by its singular values; norms and biases, which have no
    rank, whole. `about["kept"]` is the share of the squared difference that the ranks hold.

    Args:
        tuned: trained further, all weights of it.
        base: what it began from, of the same architecture.
        rank: of the updates; a layer with less has its own.
        name: of the adapter.

    Raises:
        ValueError: two architectures, or two generators with the same weights.

    >>> import latentlab as ll
    >>> from latentlab.generator.update import LowRank
    >>> generator = ll.load()
    >>> update = LowRank(torch.ones(1, 128), torch.ones(256, 1), alpha=1.0)
    >>> adapter = ll.Adapter({"middle.space.modulate": update})
    >>> found = extract(merge(generator, {adapter: 0.1}), generator, rank=1)
    >>> list(found.updates), round(found.about["kept"], 4)
    (['middle.space.modulate'], 1.0)
    """
    ours, theirs = tuned.adaptable, base.adaptable
    if ours.keys() != theirs.keys():
        raise ValueError(f"two architectures: networks {', '.join(ours)} and {', '.join(theirs)}")
    *_, main = theirs
    updates: dict[str, Update] = {}
    before = after = 0.0
    for role, network in theirs.items():
        for layer_name, layer in network.named_modules():
            if not isinstance(layer, WHOLE):
                continue
            new = dict(ours[role].named_modules()).get(layer_name)
            place = layer_name if role == main and not isinstance(base, Pipeline) else f"{role}.{layer_name}"
            delta = _difference(place, new, layer)
            weight = delta.get("weight")
            if weight is None or not takes_low_rank(layer):
                updates |= {place: Whole(**delta)} if delta else {}
                continue
            updates[place] = low_rank(weight, rank, delta.get("bias"))
            before += float(weight.square().sum())
            after += float((weight - updates[place].delta()["weight"]).square().sum())
    if not updates:
        raise ValueError("both generators have the same weights; there is nothing to extract")
    about = {
        "kind": "extracted",
        "rank": rank,
        "kept": 1 - after / before if before else 1.0,
        "base": {role: base_of(network) for role, network in theirs.items() if network is theirs[main]},
    }
    return Adapter(updates, about=about, name=name)


@clear_errors
def merge(generator: M, adapters: Strengths) -> M:
    """A generator of its own whose weights hold the adapters: W + strength (alpha / r) B A, added in float32.

    It needs no more time than the generator did, can be compiled and saved, and no longer knows what was added; that of
    `Generator.adapted` can be taken off again, to the bit.

    Args:
        generator: stays as it is.
        adapters: strengths by adapter or path, as `Generator.adapted` takes them.

    >>> import latentlab as ll
    >>> generator = ll.load()
    >>> from latentlab.generator.update import LowRank
    >>> adapter = ll.Adapter({"middle.space.modulate": LowRank(torch.ones(1, 128), torch.ones(256, 1), alpha=1.0)})
    >>> merge(generator, {adapter: 1.0}).fingerprint() == generator.fingerprint()
    False
    """
    generator.adapted(adapters)  # which checks them all
    read = in_order(adapters)
    words = {word: row for adapter in read for word, row in adapter.words.items()}
    return generator.knowing(words).having(merged(generator.adaptable, placed_all(generator, read)))


def _difference(place: str, new: nn.Module | None, old: nn.Module) -> dict[str, torch.Tensor]:
    """What differs between two layers, by parameter, in float32."""
    found, ours, theirs = {}, {} if new is None else own_parameters(new), own_parameters(old)
    for part in ("weight", "bias"):
        first, second = ours.get(part), theirs.get(part)
        if first is None and second is None:
            continue
        if first is None or second is None or first.shape != second.shape:
            raise ValueError(f"two architectures: {place}.{part} is not of one shape in both")
        if not torch.equal(first, second):
            found[part] = (first.float() - second.float()).detach()
    return found
