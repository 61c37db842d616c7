"""An inverted latent together with everything that made it, so that it is never sampled by mistake in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentlab.generator.condition import Condition
from latentlab.generator.exactness import Trace
from latentlab.shapes import Noise
from latentlab.tensors import read_tensors, write_tensors

FORMAT = 3  # of the file; raised when an old one could be misread


@dataclass(frozen=True)
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
        weights: fingerprint of the generator.
        decode_chunk: frames decoded together, see `Generator.decode_chunk`.
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

    @property
    def noise(self) -> Noise:
        """The noise alone, one state for each clip, in float32; the trace keeps the solver's own precision."""
        return self.trace.noise.float()

    @property
    def exact(self) -> bool:
        """Whether sampling, with nothing changed, returns the latents to rounding."""
        return self.trace.exact

    @property
    def residual(self) -> float | None:
        """Largest relative residual of the implicit steps; 0 for algebraically exact methods, None for the rest."""
        return self.trace.residual

    def __len__(self) -> int:
        return len(self.noise)

    def moved(self, by: Noise) -> Inverted:
        """The same clips with their noise moved; both states of a pair move alike."""
        memory = self.trace.memory
        paired = memory is not None and memory.shape == self.trace.noise.shape
        return replace(
            self, trace=Trace(self.trace.noise + by, memory + by if memory is not None and paired else memory)
        )

    def check(self, made_by: Mapping[str, Any]) -> None:
        """Raises unless every setting in `made_by` is the one this latent was made with.

        Raises:
            ValueError: what differs, both values named.
        """
        wrong = [f"{k} was {getattr(self, k)!r}, is {v!r}" for k, v in made_by.items() if getattr(self, k) != v]
        if wrong:
            raise ValueError(
                f"this latent was made differently: {'; '.join(wrong)}. Sample it as it was made, or pass its .noise, "
                "the bare tensor, to sample it in another way without the promise to return the clip"
            )

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file, its settings as JSON in the header; atomic."""
        tensors = {"noise": self.trace.noise, **self.condition.tensors()}
        if self.trace.memory is not None:
            tensors["memory"] = self.trace.memory
        settings = {name: getattr(self, name) for name in _SETTINGS}
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
        complete = {"noise", "tokens", "mask"} <= tensors.keys() and {*_SETTINGS, "residuals"} <= header.keys()
        if header.get("format") != FORMAT or not complete:
            raise ValueError(f"{path} was not written by Inverted.save, or by another version of latentlab")
        settings: dict[str, Any] = {name: header[name] for name in _SETTINGS}
        settings["levels"] = tuple(settings["levels"])
        residuals = header["residuals"]
        return Inverted(
            trace=Trace(tensors["noise"], tensors.get("memory"), None if residuals is None else tuple(residuals)),
            condition=Condition.from_tensors(tensors),
            **settings,
        )


_SETTINGS = ("method", "levels", "guidance", "batch_size", "dtype", "weights", "decode_chunk")
