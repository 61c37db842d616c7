"""Directions that are learned to be told apart by what they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.checks import Seed, clear_errors
from latentlab.directions.direction import Direction, LocalDirection
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.finder import Finder
from latentlab.directions.unsupervised import made_by
from latentlab.store import digest
from latentlab.tensors import read_tensors, write_tensors

FeatureMap = Callable[[Tensor], Tensor]


class Fan(nn.Module):
    """Unit vectors to move codes by: fixed, or turned by the code through a bottleneck of `rank`.

    Args:
        count, dim: of the directions.
        rank: 0 is fixed.
        seed: of the start.
    """

    def __init__(self, count: int, dim: int, rank: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.fixed = nn.Parameter(F.normalize(torch.randn(count, dim, generator=draw), dim=1))
        self.read = nn.Parameter(torch.randn(rank, dim, generator=draw) / dim**0.5)
        self.turn = nn.Parameter(torch.zeros(count, rank, dim))

    def forward(self, codes: Float[Tensor, "sample dim"]) -> Float[Tensor, "direction sample dim"]:
        turned = torch.einsum("sr,krd->ksd", torch.tanh(codes @ self.read.T), self.turn)
        return F.normalize(self.fixed[:, None] + turned, dim=2)


@dataclass(kw_only=True, eq=False, repr=False)
class Contrastive(Finder):
    """LatentCLR (Yüksel et al. 2021): directions whose changes of features agree over codes and differ from each other.

    Codes are moved along each direction; changes `f(z + d_k) - f(z)` of one direction are drawn together and those of
    different ones apart (eq. 4, cosines over a temperature). With a denoiser's prediction for features it is NoiseCLR
    (Dalva & Yanardag 2024).

    Args:
        features: differentiable, of codes `(sample, dim)` to anything with first axis sample; None takes the codes.
        count: directions.
        steps: of Adam.
        batch_size: codes at each step, at least 2.
        strength: how far codes are moved, in root mean square standard deviations of the codes.
        temperature: of the cosines.
        learning_rate: of Adam.
        rank: 0 learns fixed directions; more lets each turn with the code, through so many numbers, see
            `LocalDirection`; `directions_` then holds the means.
        checkpoint: a file to go on from, written every `every` steps; None keeps none.
        every: see there.
        random_state: of start and batches.
        progress: show a bar.

    Attributes:
        accuracy_: share of moves told by the nearest mean change of all directions; `1 / count` is chance.
        loss_: at each step that was done.

    >>> codes = np.random.default_rng(0).standard_normal((64, 4))
    >>> Contrastive(count=2, steps=50).fit(codes).accuracy_
    1.0
    """

    features: FeatureMap | None = None
    count: int = 10
    steps: int = 300
    batch_size: int = 8
    strength: float = 1.0
    temperature: float = 0.5
    learning_rate: float = 0.01
    rank: int = 0
    checkpoint: str | Path | None = None
    every: int = 100
    random_state: Seed = 0
    progress: bool = False

    @clear_errors
    def fit(self, codes: Any, y: Any = None) -> Self:
        """Learns the directions from codes `(sample, dim)`; y is ignored.

        Raises:
            ValueError: fewer than two directions or codes at a step, features that keep no gradient or are not finite,
                or a checkpoint of other settings or codes.
        """
        del y
        if self.count < 2 or self.batch_size < 2:
            raise ValueError(f"count and batch_size must be at least 2, got {self.count} and {self.batch_size}")
        for name in ("strength", "temperature", "learning_rate"):
            if not 0 < (value := getattr(self, name)) < float("inf"):
                raise ValueError(f"{name} must be a finite number above 0, got {value}")
        if self.steps < 0 or self.rank < 0 or self.every < 1:
            raise ValueError(
                f"needs steps and rank from 0 on and every from 1 on, got {self.steps}, {self.rank} and {self.every}"
            )
        device = codes.device if isinstance(codes, Tensor) else torch.device("cpu")
        codes = self._codes(codes)
        z = torch.tensor(codes, dtype=torch.float32, device=device)
        centre, spread = z.mean(0), float(z.var(0, correction=0).mean().sqrt()) or 1.0
        fan = Fan(self.count, z.shape[1], self.rank, self.random_state).to(device)
        adam = torch.optim.Adam(fan.parameters(), self.learning_rate)
        losses = self._resume(fan, adam, codes)
        size = min(self.batch_size, len(z))
        steps = range(len(losses), self.steps)
        for step in tqdm(steps, desc="learning directions", disable=not self.progress or None):
            rows = np.random.default_rng([self.random_state, step]).choice(len(z), size, replace=False)
            loss = told_apart(self._changes(z[rows], fan((z[rows] - centre) / spread), spread), self.temperature)
            if not loss.requires_grad:
                raise ValueError(
                    "features keep no gradient, as those of spaces and generators do not; give a network's"
                )
            if not loss.isfinite():
                raise ValueError(f"features of moved codes are NaN or infinite at step {step}; try a smaller strength")
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(float(loss.detach()))
            if self.checkpoint is not None and (len(losses) % self.every == 0 or len(losses) == self.steps):
                self._save(fan, adam, losses, codes)
        self.loss_, self.fan_, self.centre_, self.spread_ = losses, fan, centre, spread
        with torch.no_grad():
            turned = fan((z - centre) / spread)
            parts = [
                self._changes(part, turn, spread)
                for part, turn in zip(z.split(size), turned.split(size, dim=1), strict=True)
            ]
            change = F.normalize(torch.cat(parts, 1), dim=2)
        nearest = torch.einsum("ksf,jf->ksj", change, F.normalize(change.mean(1), dim=1)).argmax(2)
        self.accuracy_ = float((nearest == torch.arange(self.count, device=device)[:, None]).float().mean())
        vectors = turned.mean(1).double().cpu().numpy()  # not flipped: a change is learned one way
        names = [f"contrast{i}" for i in range(self.count)]
        return self._keep(DirectionSet.measured(names, vectors, codes, provenance=made_by(self, codes)))

    def __getitem__(self, name: str) -> Direction:
        """A direction by name; where it was learned to turn with the code, `edit` turns it."""
        found = super().__getitem__(name)
        if not self.rank:
            return found
        row = self.found_.index(name)

        def at(codes: Tensor) -> Tensor:
            own = self.centre_
            with torch.no_grad():
                return self.fan_((codes.to(own) - own) / self.spread_)[row].to(codes)

        return LocalDirection(name, found.vector, found.scale, at=at)

    def _changes(
        self, z: Float[Tensor, "sample dim"], moves: Float[Tensor, "direction sample dim"], spread: float
    ) -> Float[Tensor, "direction sample feature"]:
        features = self.features or (lambda codes: codes)
        moved = (z + self.strength * spread * moves).flatten(0, 1)
        before = features(z).flatten(1)
        return features(moved).flatten(1).view(len(moves), *before.shape) - before

    def _settings(self, codes: np.ndarray) -> dict[str, Any]:
        names = ("count", "batch_size", "strength", "temperature", "learning_rate", "rank", "random_state")
        own = {name: getattr(self, name) for name in names}
        return {**own, "codes": digest(np.ascontiguousarray(codes))}

    def _save(self, fan: Fan, adam: torch.optim.Adam, losses: list[float], codes: np.ndarray) -> None:
        tensors = {"losses": torch.tensor(losses, dtype=torch.float64)}
        for name, parameter in fan.named_parameters():
            tensors[name] = parameter
            tensors |= {f"{name}.{part}": value for part, value in adam.state[parameter].items()}
        write_tensors(str(self.checkpoint), "contrastive", self._settings(codes), tensors)

    def _resume(self, fan: Fan, adam: torch.optim.Adam, codes: np.ndarray) -> list[float]:
        """Losses of the steps that a checkpoint holds; network and optimiser are set to where they stood."""
        if self.checkpoint is None or not Path(self.checkpoint).is_file():
            return []
        tensors, settings = read_tensors(self.checkpoint, "contrastive", "checkpoint")
        if settings != self._settings(codes):
            raise ValueError(f"{self.checkpoint} is of other settings or codes; take another file, or remove it")
        losses = tensors.pop("losses").tolist()
        if len(losses) > self.steps:
            raise ValueError(f"{self.checkpoint} holds {len(losses)} steps, more than the {self.steps} asked for")
        with torch.no_grad():
            for name, parameter in fan.named_parameters():
                parameter.copy_(tensors[name])
                parts = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
                adam.state[parameter] = {
                    part: t if part == "step" else t.to(parameter.device) for part, t in parts.items()
                }
        return losses


def told_apart(changes: Float[Tensor, "direction sample feature"], temperature: float) -> Tensor:
    """-log of (similarity to changes of the same direction) over (to those of others), mean over moves (eq. 4).

    Similarities are exponentials of cosines over the temperature; a move is not compared with itself.
    """
    count, samples = changes.shape[:2]
    unit = F.normalize(changes.flatten(0, 1), dim=1)
    alike = (unit @ unit.T / temperature).exp()
    which = torch.arange(count, device=changes.device).repeat_interleave(samples)
    same = which[:, None] == which
    others = same & ~torch.eye(len(which), dtype=torch.bool, device=changes.device)
    return (((alike * ~same).sum(1)).log() - ((alike * others).sum(1)).log()).mean()
