"""How much does a student of a few steps lose against its teacher, and how much faster is it?

    python benchmarks/student.py --student runs/student/generator [--clips 256] [--teacher FOLDER] [--teacher-steps 25]

Both draw the same captions, of held-out clips, from the same noise, at the guidance of the model: Frechet distance on
the reader's features to real clips, beside that of other real clips (the floor), and its ratio to the teacher's; shape,
hue, background, size and direction of captions that training never saw; processor seconds a clip, without decoding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from latentlab.bench.flags import main
from latentlab.bench.script import load_script
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.sampler import Sampler
from latentlab.generator.student import StudentGenerator

quality = load_script(Path(__file__).with_name("quality.py"))
TIMED = 16  # clips, together


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        student: folder of its generator.
        teacher: folder; None is the shipped model.
        teacher_steps: of the solver, for the teacher.
        clips: for the Frechet distance.
        captions: unseen ones.
    """

    student: str = "runs/student/generator"
    teacher: str | None = None
    teacher_steps: int = 25
    clips: int = 256
    captions: int = 64


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    student, teacher = load(config.student), load(config.teacher)
    if not isinstance(student, StudentGenerator):
        raise SystemExit(f"{config.student} is no student, but a {type(student).__name__}")
    figures = {}
    for name, generator, steps in (("teacher", teacher, config.teacher_steps), ("student", student, student.steps)):
        asked = quality.Config(frechet=config.clips, clips=config.captions, num_steps=steps)
        figures[name] = {
            "steps": steps,
            "seconds": round(_seconds(generator, steps), 4),
            "frechet": quality.frechet(generator, asked),
            "captions": {k: v for k, v in quality.caption_accuracy(generator, asked).items() if k != "_clips"},
        }
    one, many = figures["student"], figures["teacher"]
    return {
        **figures,
        "frechet of the student over the teacher's": _ratio(one, many, lambda f: f["frechet"]["distance"]["value"]),
        "times faster": _ratio(many, one, lambda f: f["seconds"]),
    }


def _ratio(above: dict, below: dict, of) -> float:
    return round(of(above) / of(below), 3)


def _seconds(generator: Generator, steps: int) -> float:
    """Processor seconds a clip, from noise to latents."""
    data = MovingShapes(TIMED, HELD_OUT_SEED)
    said, noise = [data.caption(i) for i in range(TIMED)], generator.noise(TIMED)
    how = Sampler("ddim", steps, guidance=generator.config.guidance)
    began = time.process_time()
    generator.sample(noise, said, sampler=how)
    return (time.process_time() - began) / TIMED


if __name__ == "__main__":
    main(run)
