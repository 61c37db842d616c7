"""What was read of a driven pipeline, and how near it comes to the pipeline's own call."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from latentlab.generator.generator import Generator
from latentlab.generator.pipelines.call import Call, Size
from latentlab.generator.pipelines.layout import Layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import ASKED, PAIR, Reading, apart
from latentlab.generator.pipelines.visit import Step, Visit

ROUNDING = {torch.float32: 1e-3}  # of velocities, over their spread; for half precision `HALF`
HALF = 0.1


@dataclass(frozen=True)
class PipelineAccount:
    """What was read of a driven pipeline.

    Attributes:
        pipeline: its class.
        guidance: "classifier-free" (two captions, as latentlab does it), "its own" (as its call does it), or "none".
        batches: whether it takes several clips at once.
        difference: of velocities from those of its own call, three steps without guidance; largest, over their spread.
        guided: the same at guidance 3; None where it has none.
    """

    pipeline: str
    guidance: str
    batches: bool
    difference: float
    guided: float | None

    def __str__(self) -> str:
        guided = "" if self.guided is None else f", guided {self.guided:.0e}"
        return (
            f"{self.pipeline}, its call stopped at a step: {self.difference:.0e} of the spread from whole steps"
            f"{guided}; guidance: {self.guidance}; {'batches' if self.batches else 'one clip at a time'}"
        )


def compared(
    generator: Generator, call: Call, reading: Reading, size: Size, layout: Layout, path: Path
) -> PipelineAccount:
    """Three of four steps of the pipeline's own call against the same by the generator, which is asked twice.

    Raises:
        ValueError: they differ, or the same question has two answers, as where a loop draws noise.
    """
    differences, firsts = [], []
    for guidance in [1.0] if reading.guidance == "none" else [1.0, ASKED]:
        told = call.arguments(PAIR[:1], size, guidance=guidance, num_steps=4)
        condition, worst = generator.condition(PAIR[0]), 0.0
        remembered = reading.form.answer(condition) if call.reads_images and guidance == 1.0 else None
        steps = call.visit(told, Visit("end", remembered=remembered)).steps
        if len(steps) < 4:
            raise ValueError(
                f"{call.name} cannot be driven: of four steps it takes {len(steps)}, as a call does that starts inside "
                "the schedule; take the pipeline of captions of the same weights"
            )
        for i, step in enumerate(steps[:3]):
            s, x = level(step, path), layout.latents(step.state.float(), 1)
            y = path.flow_state(step.factor * x if path.kind == "preserving" else x, s)
            theirs = path.velocity(layout.latents(step.output.float(), 1), y, s)
            if layout.held.any():
                theirs = torch.where(layout.held.to(theirs.device), torch.zeros_like(theirs), theirs)
            ours, again = (generator.velocity(condition, guidance)(y, s) for _ in range(2))
            if not torch.equal(ours, again):
                raise ValueError(
                    f"{call.name} cannot be driven: asked twice for a velocity it gives two, {apart(ours, again):.1e} "
                    "of the spread apart; its loop draws noise, or something in it is left to chance"
                )
            worst = max(worst, apart(ours, theirs))
            if i == 0:
                firsts.append(worst)
        differences.append(worst)
    limit = ROUNDING.get(generator.dtype, HALF)
    if not all(difference <= limit for difference in differences):
        raise ValueError(
            f"{call.name} cannot be driven: steps of its own call differ by {max(differences):.1e} of the spread "
            f"from the same by stopped calls, where {limit:g} would be rounding; "
            f"{_why_apart(call, all(first <= limit for first in firsts))}"
        )
    guided = differences[1] if len(differences) > 1 else None
    return PipelineAccount(call.name, reading.guidance, reading.batches, differences[0], guided)


def _why_apart(call: Call, begins_alike: bool) -> str:
    """What is likely where steps differ, of which the first are the same or are not."""
    if not begins_alike:
        return "its steps depend on one another, or on their number"
    if not call.reads_images:
        return "its first step is the same, so others depend on those before, or on the noise that it began with"
    return (
        "its first step is the same, so others depend on the noise that it began with, as those of a call that leads "
        "some latents from there to its image's; call={'image': None} makes clips of captions alone"
    )


def level(step: Step, path: Path) -> float:
    """The level of a step, by its sigma where that tells it."""
    told = path.kind in ("flow", "exploding") and step.sigma is not None
    return path.level(step.sigma) if told and step.sigma is not None else path.level_called(step.timestep)
