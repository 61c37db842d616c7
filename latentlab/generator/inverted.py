"""An inverted latent together with everything that made it, so that it is never sampled by mistake in another way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from latentlab.generator.condition import Condition
from latentlab.generator.estimate import Estimate
from latentlab.generator.sampler import Sampler
from latentlab.generator.trace import Trace
from latentlab.names import LevelsFor
from latentlab.shapes import Noise
from latentlab.tensors import read_tensors, write_tensors

FORMAT = 3  # of the file; raised when an old one could be misread


@dataclass(frozen=True, repr=False)
class Inverted:
    """Clips as noise, as `Generator.invert` returns them and `Generator.sample` takes them.

    Attributes:
        trace: the noise, and what the method needs beside it.
        method: of the solver.
        levels: flow times, rising, from the clip to the noise.
        guidance: weight of the caption on the way.
        condition: what the denoiser was told.
        batch_size: clips at a time; other sizes round differently.
        dtype: in which the denoiser computed.
        weights: fingerprint of the generator, its guides apart.
        decode_chunk: frames decoded together, see `Generator.decode_chunk`.
        tiles: parts that the autoencoder took clips in, see `Generator.tiles`.
        batches: size of the batch in which each clip was inverted; None is what `batch_size` makes of all clips.
        levels_for: "analysis", of noise to be read, or "sampling", of noise to be edited; see `Generator.invert`.
        estimate: how far the noise is from the true encoding, if it was asked.
        guides: settings of the guides on the way, see `Generator.guided`.
    """

    trace: Trace
    method: str
    levels: tuple[float, ...]
    guidance: float
    condition: Condition
    batch_size: int
    dtype: str
    weights: str
    decode_chunk: int | None = None
    tiles: dict[str, Any] | None = None
    batches: tuple[int, ...] | None = None
    levels_for: LevelsFor = "sampling"
    estimate: Estimate | None = None
    guides: Sequence[Mapping[str, Any]] = ()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.noise.shape[1:]))
        how = f"{self.method}, {len(self.levels) - 1} steps on levels for {self.levels_for}, guidance {self.guidance:g}"
        said = "" if self.estimate is None else f"; {self.estimate}"
        return f"Inverted({len(self)} of {shape}, {how}, {'exact' if self.exact else 'not exact'} way back{said})"

    @property
    def noise(self) -> Noise:
        """The noise alone, one state for each clip, in float32; the trace keeps the solver's own precision."""
        return self.trace.noise.float()

    @property
    def exact(self) -> bool:
        """Whether sampling, with nothing changed, returns the latents to rounding.

        Clips taken out of their batches are sampled in others, in which networks round otherwise; that is not exact.
        """
        return self.trace.exact and self.batches in (None, _batch_of_each(len(self), self.batch_size))

    @property
    def residual(self) -> float | None:
        """Largest relative residual of the implicit steps; 0 for algebraically exact methods, None for the rest."""
        return self.trace.residual

    @property
    def sampler(self) -> Sampler:
        """How it was made."""
        return Sampler(self.method, len(self.levels) - 1, self.levels_for, self.guidance, self.batch_size)

    def __len__(self) -> int:
        return len(self.noise)

    def __getitem__(self, rows: slice) -> Inverted:
        """Some of the clips, which remember the batches they were inverted in.

        Raises:
            TypeError: no slice.
        """
        if not isinstance(rows, slice):
            raise TypeError(f"inverted clips are taken by a slice, inverted[2:3], got {rows!r}")
        batches = self.batches or _batch_of_each(len(self), self.batch_size)
        estimate = None if self.estimate is None else self.estimate[rows]
        some = {"trace": self.trace[rows], "condition": self.condition[rows], "batches": batches[rows]}
        return replace(self, **some, estimate=estimate)

    def moved(self, by: Noise) -> Inverted:
        """The same clips with their noise moved; both states of a pair move alike.

        Raises:
            ValueError: moves that are neither one for all clips nor one for each.
        """
        noise, memory = self.trace.noise, self.trace.memory
        if by.shape not in (noise.shape, (1, *noise.shape[1:])):
            raise ValueError(
                f"moves have the shape of the noise, {tuple(noise.shape)}, or one clip's, got {tuple(by.shape)}"
            )
        if memory is not None and memory.shape == noise.shape:
            memory = memory + by
        trace = replace(self.trace, noise=noise + by, memory=memory, residuals=None)
        return replace(self, trace=trace, estimate=None)

    def check(self, made_by: Mapping[str, Any]) -> None:
        """Raises unless every setting in `made_by` is the one this latent was made with.

        Raises:
            ValueError: what differs, both values named.
        """
        before = {k: getattr(self, k) for k in made_by}
        wrong = [f"{k} was {_brief(before[k])}, is {_brief(v)}" for k, v in made_by.items() if before[k] != v]
        if wrong:
            raise ValueError(
                f"this latent was made differently: {'; '.join(wrong)}. Sample it as it was made, or pass its .noise, "
                "the bare tensor, to sample it in another way without the promise to return the clip"
            )

    def check_guides(self, guides: Sequence[Mapping[str, Any]]) -> None:
        """Raises unless the guides of the inversion are the first of these, which are those of a sampling run.

        Raises:
            ValueError: what differs, both named.
        """
        was, now = ([json.dumps(guide) for guide in some] for some in (self.guides, guides))
        if was != now[: len(was)]:
            raise ValueError(
                f"this latent was inverted under guides {', '.join(was)}, and is to be sampled under "
                f"{', '.join(now) or 'none'}; sample it with generator.guided(...) of the same, which further ones may "
                "follow, or pass its .noise, the bare tensor"
            )

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file, its settings as JSON in the header; atomic."""
        tensors = {"noise": self.trace.noise, **self.condition.tensors()}
        if self.trace.memory is not None:
            tensors["memory"] = self.trace.memory
        settings = {name: getattr(self, name) for name in _SETTINGS}
        settings["estimate"] = None if self.estimate is None else asdict(self.estimate)
        header = {"format": FORMAT, "residuals": self.trace.residuals, **settings}
        write_tensors(path, "inverted", header, tensors)

    @staticmethod
    def load(path: str | Path) -> Inverted:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not such a file.
        """
        tensors, header = read_tensors(path, "inverted", "inverted latent")
        needed = {*_SETTINGS, "residuals"} - _LATER.keys()
        complete = "noise" in tensors and needed <= header.keys()
        if header.get("format") != FORMAT or not complete:
            raise ValueError(f"{path} was not written by Inverted.save, or by another version of latentlab")
        settings: dict[str, Any] = {name: (_LATER | header)[name] for name in _SETTINGS}
        settings |= {name: tuple(settings[name]) for name in ("levels", "batches") if settings[name] is not None}
        if (estimate := settings["estimate"]) is not None:
            settings["estimate"] = Estimate(tuple(estimate["error"]), estimate["calls"])
        residuals = header["residuals"]
        return Inverted(
            trace=Trace(tensors["noise"], tensors.get("memory"), None if residuals is None else tuple(residuals)),
            condition=Condition.from_tensors(tensors).expand(len(tensors["noise"])),
            **settings,
        )


def _batch_of_each(count: int, size: int) -> tuple[int, ...]:
    """How many clips are together with each of `count`, `size` at a time."""
    return tuple(min(size, count - i // size * size) for i in range(count))


# What came after files of this format were written.
_LATER: dict[str, Any] = {"tiles": None, "batches": None, "levels_for": "sampling", "estimate": None, "guides": ()}
_SETTINGS = ("method", "levels", "guidance", "batch_size", "dtype", "weights", "decode_chunk", *_LATER)


def _brief(value: Any) -> str:
    """A setting as a message shows it; of many levels a few."""
    if isinstance(value, tuple) and len(value) > 4:
        return f"{len(value)} values ({value[0]:.3g}, {value[1]:.3g}, ..., {value[-1]:.3g})"
    return repr(value)
