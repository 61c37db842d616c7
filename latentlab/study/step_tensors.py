"""Steps of a recipe as a file holds them: settings that JSON knows, and tensors by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from latentlab.directions import Direction, LocalDirection, Normal
from latentlab.study.steps import Step


def packed_steps(steps: Sequence[Step]) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Settings of each step, and the tensors of all.

    Raises:
        ValueError: of a direction that turns with the code, which no file holds.

    >>> rows, tensors = packed_steps([Step(Direction("push", torch.eye(2)[0].numpy(), 1.0), 2.0)])
    >>> rows[0]["direction"], list(tensors), unpacked_steps(rows, tensors)[0].strength
    ({'name': 'push', 'scale': 1.0}, ['0.vector'], 2.0)
    """
    rows, tensors = [], {}
    for i, step in enumerate(steps):
        if isinstance(step.direction, LocalDirection):
            raise ValueError(
                f"direction {step.direction.name!r} turns with the code, and a recipe holds vectors; "
                "learn it with rank=0 to write it down"
            )
        tensors[f"{i}.vector"] = torch.from_numpy(step.direction.vector)
        if step.mask is not None:
            tensors[f"{i}.mask"] = step.mask.detach().cpu()
        for j, kept in enumerate(step.preserve):
            tensors[f"{i}.preserve.{j}"] = torch.from_numpy(kept.vector)
        rows.append(
            {
                "strength": float(step.strength),
                "profile": step.profile if isinstance(step.profile, str) else [float(w) for w in step.profile],
                "direction": {"name": step.direction.name, "scale": float(step.direction.scale)},
                "preserve": [kept.name for kept in step.preserve],
            }
        )
    return rows, tensors


def unpacked_steps(rows: Sequence[Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> tuple[Step, ...]:
    """The steps that `packed_steps` took apart.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: something that it did not write.
    """
    return tuple(_step(i, row, tensors) for i, row in enumerate(rows))


def _step(i: int, row: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Step:
    known, profile = row["direction"], row["profile"]
    return Step(
        direction=Direction(str(known["name"]), tensors[f"{i}.vector"].numpy(), float(known["scale"])),
        strength=row["strength"],
        profile=profile if isinstance(profile, str) else tuple(profile),
        mask=tensors.get(f"{i}.mask"),
        preserve=tuple(Normal(kept, tensors[f"{i}.preserve.{j}"].numpy()) for j, kept in enumerate(row["preserve"])),
    )
