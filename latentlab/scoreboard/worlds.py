"""Worlds that directions are found and tried in: synthetic generators, and the spaces of a model of moving shapes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import FACTORS
from latentlab.data.moving.measure import mask, measure
from latentlab.directions.contrastive import FeatureMap
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.vector_vae import VectorVAE
from latentlab.scoreboard.ground_truth import paired_truth
from latentlab.scoreboard.oracle import Oracle
from latentlab.scoreboard.sweep import Testbed
from latentlab.shapes import Codes, Video
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace, VectorSpace
from latentlab.spaces.space import Described, Space, as_space
from latentlab.store import short_digest
from latentlab.study.edit_space import DIRECTION_SEED
from latentlab.tensors import read_tensors, write_tensors

VARIANTS = ("independent", "correlated 0.8", "10 % label noise", "unbalanced")
CORRELATED = {("size", "light"): 0.8, ("start_x", "speed"): 0.8, ("hue", "background_hue"): 0.8}
JUDGED = tuple(f.name for f in FACTORS if f.name != "blur")  # which `measure` can tell of few decoded clips
CONTINUOUS = tuple(f.name for f in FACTORS if f.kind == "continuous" and f.name in JUDGED)
ORACLES = ("oracle", "oracle-tanh")
SPACES = ("latent", "vector", "h-space", "noise")
FRAMES = 16  # of a clip of moving shapes
SHARD = 32  # clips rendered and encoded at a time


class World(ABC):
    """Labelled codes, and clips to try directions on.

    Attributes:
        targets: names of what directions are to move.
        clips: that directions are tried on.
        networks: that take part.
        variants: of the data that it has.
    """

    targets: tuple[str, ...]
    clips: int
    networks: tuple[nn.Module, ...] = ()
    variants: tuple[str, ...] = VARIANTS[:1]

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """All that its figures depend on, plain values."""

    @abstractmethod
    def draw(self, count: int, variant: str, seed: int) -> tuple[np.ndarray, FactorTable]:
        """Codes and their true factors, for finders."""

    @abstractmethod
    def testbed(self, seed: int, rows: Sequence[int] | None = None) -> Testbed:
        """What directions are tried on, no part of what is drawn; some of the clips, or all of them."""

    @abstractmethod
    def truth(self, seed: int) -> dict[str, np.ndarray]:
        """True directions by target."""

    @abstractmethod
    def features(self, seed: int) -> FeatureMap:
        """What codes become, as a differentiable function."""

    def first_layer(self) -> np.ndarray:
        """Weights that the channels of a code enter by, `(output, channel)`."""
        raise ValueError("codes of this world enter no layer")

    def labelled(
        self, count: int, variant: str, seed: int, *, shuffled: bool = False
    ) -> tuple[np.ndarray, FactorTable]:
        """Codes and labels as a finder gets them: with the variant's noise, or of other samples altogether."""
        codes, factors = self.draw(count, variant, seed)
        values, rng = factors.values.copy(), np.random.default_rng([seed, 6])
        if variant == "10 % label noise":
            values = np.where(rng.random(values.shape) < 0.1, rng.permuted(values, axis=0), values)
        if shuffled:
            values = values[rng.permutation(len(values))]
        return codes, FactorTable(values, factors.specs)


@dataclass(eq=False)
class OracleWorld(World):
    """Synthetic generators whose true effects are known, each seed one of its own.

    Args:
        mix: see `Oracle`.
    """

    mix: float = 0.0
    clips: int = 200

    def __post_init__(self) -> None:
        self.targets = tuple(spec.name for spec in self._oracle(0).specs)

    def _oracle(self, seed: int) -> Oracle:
        return Oracle(seed=seed, mix=self.mix)

    def describe(self) -> dict[str, Any]:
        return {"world": "oracle", "mix": self.mix, "clips": self.clips}

    def draw(self, count: int, variant: str, seed: int) -> tuple[np.ndarray, FactorTable]:
        codes, factors = self._oracle(seed).draw(count)
        return codes.numpy(), factors

    def testbed(self, seed: int, rows: Sequence[int] | None = None) -> Testbed:
        oracle = self._oracle(seed)
        codes, _ = oracle.draw(self.clips, seed=1)
        codes = codes if rows is None else codes[list(rows)]
        return Testbed(codes, lambda codes: codes, oracle.read, oracle.draw(5000, seed=2)[1])

    def truth(self, seed: int) -> dict[str, np.ndarray]:
        return dict(zip(self.targets, self._oracle(seed).truth(), strict=True))

    def features(self, seed: int) -> FeatureMap:
        return self._oracle(seed).values


@dataclass(eq=False)
class ModelWorld(World):
    """A space of a model, with moving shapes whose factors are read back from decoded clips by `measure`.

    Args:
        name: one of `SPACES`.
        model: the generator, or the vector VAE of "vector"; or any space, under a name of its own.
        folder: where codes and true directions are kept, each under what it depends on.
        targets: names of what directions are to move.
        num_steps: of the solver, in noise and h-space.
        layer: of the denoiser, in h-space, see `BottleneckSpace`.
        pool: labelled clips, of which a seed draws its own.
        clips: that directions are tried on.
        pairs: of clips for each true direction.
    """

    name: str
    model: Generator | VectorVAE | Space
    folder: str | Path
    targets: tuple[str, ...]
    num_steps: int = 25
    layer: str | None = None
    pool: int = 10_240
    clips: int = 32
    pairs: int = 32

    def __post_init__(self) -> None:
        self.variants = VARIANTS
        self.networks: tuple[nn.Module, ...] = ()  # of a space of one's own nobody knows any
        if isinstance(self.model, VectorVAE):
            self.networks = (self.model,)
        elif isinstance(self.model, Generator):
            self.networks = self.model.modules

    @cached_property
    def space(self) -> Described:
        """The space itself."""
        if isinstance(self.model, VectorVAE):
            by_frame = self.model.config.num_frames == 1
            return VectorSpace(self.model, num_frames=FRAMES if by_frame else None)
        if not isinstance(self.model, Generator):
            return as_space(self.model)
        if self.name == "noise":
            return NoiseSpace(self.model, num_steps=self.num_steps, levels="sampling")  # codes are edited and drawn
        if self.name == "h-space":
            return BottleneckSpace(self.model, layer=self.layer, num_steps=self.num_steps)
        if self.name == "latent":
            return LatentSpace(self.model)
        raise ValueError(f"no space {self.name!r} of a generator; there are {', '.join((*ORACLES, *SPACES))}")

    def describe(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("name", "pool", "clips", "pairs")}
        return {"world": self.space.describe(), **own}

    def draw(self, count: int, variant: str, seed: int) -> tuple[np.ndarray, FactorTable]:
        rng = np.random.default_rng([seed, 5])
        factors = self._data(self.pool, variant).factors()
        rows = rng.permutation(len(factors))
        if variant == "unbalanced":  # bright clips and late shapes are one in five of what they were
            rare = (factors["light"] > np.median(factors["light"])).astype(int) + (factors["shape"] > 1)
            rows = rows[rng.random(len(rows)) < 0.2 ** rare[rows]]
        rows = rows[:count]
        return self.codes(variant)[rows].numpy(), factors[rows]

    def testbed(self, seed: int, rows: Sequence[int] | None = None) -> Testbed:
        data = MovingShapes(self.clips, HELD_OUT_SEED + seed)
        video = torch.cat([data.clip(int(row)) for row in (range(self.clips) if rows is None else rows)])
        reference = MovingShapes(1000, DIRECTION_SEED).factors().select(JUDGED)
        here = self.space.around(video)
        read = lambda seen: measure(seen.cpu()).select(JUDGED)  # noqa: E731
        return Testbed(here.codes, here.decode, read, reference, around=self.space.around, mask=mask)

    def truth(self, seed: int) -> dict[str, np.ndarray]:
        """Kept in `folder`; the same for all seeds."""
        path = self._kept("truth", {"pairs": self.pairs})
        known = read_tensors(path, "truth", "true directions")[0] if path.exists() else {}
        if missing := [target for target in self.targets if target not in known]:
            found = paired_truth(self.space.encode, missing, pairs=self.pairs, progress=True)
            known |= {name: torch.from_numpy(move) for name, move in found.items()}
            write_tensors(path, "truth", self.space.describe(), known)
        return {name: move.numpy() for name, move in known.items()}

    def codes(self, variant: str) -> Codes:
        """Codes of the pool, encoded once and kept in `folder`."""
        return torch.cat(list(self._shards(variant)))[: self.pool]

    def _shards(self, variant: str) -> Iterator[Codes]:
        data = self._data(-(-self.pool // SHARD) * SHARD, variant)
        kind = {"correlated": variant == VARIANTS[1], "seed": DIRECTION_SEED}
        for first in tqdm(range(0, len(data), SHARD), desc=f"encoding clips, {self.name}", leave=False, disable=None):
            path = self._kept(f"codes_{first // SHARD:03d}", kind)
            if not path.exists():
                video = torch.cat([data.clip(k) for k in range(first, first + SHARD)])
                write_tensors(path, "codes", self.space.describe(), {"codes": self.space.encode(video)})
            yield read_tensors(path, "codes", "codes")[0]["codes"]

    @staticmethod
    def _data(count: int, variant: str) -> MovingShapes:
        return MovingShapes(count, DIRECTION_SEED, correlated=CORRELATED if variant == VARIANTS[1] else {})

    def _kept(self, what: str, more: dict[str, Any]) -> Path:
        """A file that belongs to these weights and settings alone."""
        return Path(self.folder) / f"{self.name}-{json_key([self.space.describe(), more])}" / f"{what}.safetensors"

    def features(self, seed: int) -> FeatureMap:
        """The clip at an eighth of its sides."""
        space = self.space
        if isinstance(space, VectorSpace):
            draw: Callable[[Codes], Video] = space.vae.decode
        elif self.name == "latent":
            decode: Any = self._autoencoder.decode
            draw = lambda codes: decode(space.unflatten(codes))  # noqa: E731
        else:
            raise ValueError("a gradient through all of sampling is too long")
        return lambda codes: F.avg_pool3d(draw(codes), (1, 8, 8)).flatten(1)

    @property
    def _autoencoder(self) -> Any:
        return self.model.network_of("autoencoder") if isinstance(self.model, Generator) else self.model

    def first_layer(self) -> np.ndarray:
        """Of the autoencoder's decoder, each place of the kernel an output of its own."""
        if self.name != "latent":
            raise ValueError("channels of these codes enter no layer of a decoder")
        decoder: Any = self._autoencoder.decoder
        weight = next(p for p in decoder.parameters() if p.ndim >= 4)
        return weight.detach().double().movedim(1, -1).reshape(-1, self.space.shape[0]).cpu().numpy()


def json_key(what: Any) -> str:
    """A short name for plain values."""
    return short_digest(json.dumps(what, sort_keys=True, default=str))
