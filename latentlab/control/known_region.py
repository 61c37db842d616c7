"""A network that is told which latents are known: filling, keyframes and extension as it was trained for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.generator.adapted import on
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.lock import alone
from latentlab.generator.networks.beside import read_beside, ships
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Mask, in_a_line
from latentlab.tensors import tensor_digest
from latentlab.weights import fingerprint


@dataclass(frozen=True, eq=False)
class KnownRegion(Guide):
    """The guide of a known-region network: it hears which latents are known, and what they are.

    `inpaint(..., network=)` puts it next to the network, and holds the known latents on their way by `Known`.

    Args:
        network: trained by `latentlab train known-region`, see `read_known_region`.
        clean: latents of the clips.
        free: where the generator draws, 1, `(batch, 1, frame, height, width)` on their grid.
    """

    network: KnownRegionNetwork
    clean: Latents
    free: Mask

    __repr__ = in_a_line

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        clean, free = condition.extras["clean"], condition.extras["free"]

        def field(y: Tensor, s: float) -> Tensor:
            with alone(self.network.denoiser), on(self.network.updates(clean, free)):
                return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        told = {name: tensor_digest(tensor) for name, tensor in self.tensors().items()}
        return {"guide": "known-region", "network": fingerprint(self.network), **told}

    def tensors(self) -> Mapping[str, Tensor]:
        return {"clean": self.clean, "free": self.free}


def known_region_of(
    generator: Generator, network: KnownRegionNetwork | Literal["auto"] | None
) -> KnownRegionNetwork | None:
    """The network that is asked for: "auto" is the one that ships for the generator's denoiser, or None."""
    if network != "auto":
        return network
    return read_known_region(None, generator) if ships("known-region", generator) else None


@clear_errors
def read_known_region(path: str | Path | None, generator: Generator) -> KnownRegionNetwork:
    """The network of a file that `latentlab train known-region` wrote.

    Args:
        path: of the file, or of the run's folder; None is the one that ships for the shipped model.
        generator: that it was trained for.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another network, or for another denoiser; None for one of which none ships.
    """
    return read_beside(
        path, generator, "known-region", lambda denoiser, h: KnownRegionNetwork(denoiser, int(h["rank"]))
    )
