"""How much memory a job will take, before it starts: the job itself, run on tensors that have shapes and no numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from latentlab.checks import Count, clear_errors
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.generator import Generator
from latentlab.generator.pipelines.coded import AutoencoderOnly, Coded
from latentlab.generator.sampler import EDIT, Sampler
from latentlab.generator.weightless import Weightless, network_bytes, shape_like, unweighed, weightless
from latentlab.names import MemoryJob
from latentlab.shapes import Latents, Video
from latentlab.spaces import BottleneckSpace, attention

MIB = 2**20


@dataclass(frozen=True)
class Work:
    """What jobs are done with: a generator without weights, what it is told of each clip, and how it samples."""

    generator: Generator
    told: Condition
    sampler: Sampler
    clips: int

    def video(self) -> Video:
        c = self.generator.config
        clips = shape_like(self.generator, self.clips, 3, c.num_frames, c.height, c.width)
        return self.generator.padded(clips) if isinstance(self.generator, Coded) else clips

    def latents(self) -> Latents:
        return shape_like(self.generator, self.clips, *self.generator.latent_shape)


def _roundtrip(work: Work) -> object:
    video, told = work.video(), work.told
    latents = work.generator.encode(video, batch_size=work.clips)
    inverted = work.generator.invert(latents, told, sampler=work.sampler)
    again = work.generator.decode(work.generator.sample(inverted, told), batch_size=work.clips)
    return video, latents, inverted, again


JOBS: dict[MemoryJob, Callable[[Work], object]] = {
    "caption": lambda work: work.generator.condition([""] * work.clips),
    "encode": lambda work: work.generator.encode(work.video(), batch_size=work.clips),
    "invert": lambda work: work.generator.invert(work.latents(), work.told, sampler=work.sampler),
    "sample": lambda work: work.generator.sample(work.latents(), work.told, sampler=work.sampler),
    "decode": lambda work: work.generator.decode(work.latents(), batch_size=work.clips),
    "roundtrip": _roundtrip,
    "h-space": lambda work: BottleneckSpace(work.generator, sampler=work.sampler, caption=work.told).encode(
        work.video()
    ),
    "attention": lambda work: attention(work.generator, work.latents(), work.told, [0], levels=(0.5,)),
}
STEADY = 3  # steps after which another one takes nothing more, but for methods that keep something of each
UNTOLD = ("caption", "encode", "decode")  # jobs that are done without a condition


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that jobs take.

    Attributes:
        weights: of each network, by name; they are there all the time.
        above: the most that lives at once beside the weights, by job, with what goes in and what comes out.
        left_out: why a job was not tried, by job.
        about: the settings, in words.
    """

    weights: Mapping[str, int]
    above: Mapping[str, int]
    left_out: Mapping[str, str]
    about: str

    @property
    def total(self) -> dict[str, int]:
        """By job, with the weights of all networks."""
        return {job: sum(self.weights.values()) + above for job, above in self.above.items()}

    def lines(self) -> list[str]:
        """A table, in MiB."""
        networks = ", ".join(f"{name} {size / MIB:,.1f}" for name, size in self.weights.items())
        largest = max(self.weights.values(), default=0) / MIB
        rows = [f"{job:12}{above / MIB:>14,.1f}{self.total[job] / MIB:>14,.1f}" for job, above in self.above.items()]
        return [
            self.about,
            f"weights, MiB: {networks}; offloaded, the largest alone: {largest:,.1f}",
            f"{'job':12}{'beside, MiB':>14}{'in all, MiB':>14}",
            *rows,
            *(f"{job:12} left out: {why}" for job, why in self.left_out.items()),
        ]

    def numbers(self) -> dict[str, Any]:
        """As JSON holds it, in bytes."""
        parts = {"weights": self.weights, "above": self.above, "total": self.total, "left_out": self.left_out}
        return {"about": self.about, **{name: dict(part) for name, part in parts.items()}}


def _peak(job: Callable[[Work], object], generator: Generator, told: Condition, sampler: Sampler, clips: int) -> int:
    """The most that lives at once, in bytes: of a few steps, and of as many more as there are to be."""

    def of(num_steps: int) -> int:
        with unweighed() as count:
            done = job(Work(generator, told, replace(sampler, num_steps=num_steps), clips))
        del done
        return count.peak

    few = min(sampler.num_steps, STEADY)
    more = sampler.num_steps - few
    return of(few) if not more or sampler.method != "ddpm" else of(few) + more * (of(few + 1) - of(few))


@clear_errors
def memory(
    generator: Generator,
    jobs: Sequence[str] | None = None,
    *,
    caption: Caption = "",
    clips: Count = 1,
    sampler: Sampler = EDIT,
) -> MemoryPlan:
    """The memory that jobs on clips of the generator's length and size will take, read off their shapes.

    Each job is run as it is, but on tensors without numbers: no weight is read and nothing is computed, and what lives
    at each operation is counted. On the CPU what convolutions take for themselves is added (`weightless.scratch`); what
    cuDNN takes, and what an allocator keeps of freed memory, is not in it. Methods that solve an equation a step are
    counted as if they did at once.

    Args:
        generator: of weights, or of shapes alone (`configs.shapes_of_folder`).
        jobs: of `JOBS`: "caption", "encode", "invert", "sample", "decode", "roundtrip" (those four after one another),
            "h-space", "attention"; None are all that the model can do.
        caption: what clips are sampled and inverted under; a condition, for a pipeline without a text encoder.
        clips: that are computed together.
        sampler: method, steps and guidance.

    Raises:
        ValueError: no such job, or one that is asked for by name and cannot be done.

    >>> import latentlab
    >>> plan = memory(latentlab.load(device="cpu"), ["decode"])
    >>> list(plan.weights), 2**20 < plan.above["decode"] < 2**28
    (['autoencoder', 'denoiser', 'text'], True)
    """
    if unknown := [job for job in jobs or () if job not in JOBS]:
        raise ValueError(f"no job {unknown[0]!r}; there are {', '.join(JOBS)}")
    shadow = generator if isinstance(generator, Weightless) else weightless(generator)
    asked: list[Any] = list(JOBS if jobs is None else jobs)
    above: dict[str, int] = {}
    left_out: dict[str, str] = {}
    if isinstance(generator, AutoencoderOnly) and jobs is None:
        asked = ["encode", "decode"]
    told = Condition(count=clips)
    if any(job not in UNTOLD for job in asked):
        with unweighed():
            told = shadow.as_condition(caption).expand(clips)
    for job in asked:
        try:
            above[job] = _peak(JOBS[job], shadow, told, replace(sampler, batch_size=clips), clips)
        except ValueError as error:
            if jobs is not None:
                raise
            left_out[job] = str(error)
    c = shadow.config
    about = (
        f"{clips} x {c.num_frames} frames of {c.height} x {c.width}, {sampler.method} in {sampler.num_steps} steps at "
        f"guidance {sampler.guiding(c.guidance):g}, {shadow.dtype} on {shadow.device}"
    )
    return MemoryPlan(network_bytes(shadow), above, left_out, about)
