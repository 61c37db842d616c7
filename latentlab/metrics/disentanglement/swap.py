"""Swaps: does a subset of the code carry one factor from clip to clip, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from tqdm.auto import tqdm

from latentlab.checks import Seed, clear_errors
from latentlab.factors import as_array
from latentlab.metrics.disentanglement.data import LABELLED, Data
from latentlab.metrics.disentanglement.groups import name_groups, read_places
from latentlab.metrics.disentanglement.prepare import in_degrees, prepare
from latentlab.metrics.disentanglement.result import Evidence, Metric, Parts, Score, assess
from latentlab.metrics.disentanglement.rows import draw_rows

Predict = Callable[[np.ndarray], Any]


@dataclass(frozen=True, eq=False)
class Swaps(Evidence):
    """Pairs of clips, and the units of the code that each factor is thought to be in.

    Attributes:
        data: codes and factors.
        codes: all dims, `(sample, dim)`: what is read needs those too that do not count.
        units: dims of each unit; for sequences a unit is one dim in all frames.
        shape: of the code of one sample.
        read: codes to factors, `(sample, factor)` or for each frame `(sample, frame, factor)`.
        subsets: units of each factor, `(factor, unit)`.
        first, second: rows of the pairs.
        tolerance: how far continuous factors may be off, as a share of their range.
        turn: degrees in a unit of each circular factor, as `read` tells it.
    """

    data: Data
    codes: Float[np.ndarray, "sample dim"]
    units: list[np.ndarray]
    shape: tuple[int, ...]
    read: Predict
    subsets: Bool[np.ndarray, "factor unit"]
    first: np.ndarray
    second: np.ndarray
    tolerance: float
    batch: int
    progress: bool
    turn: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors."""
        return self.data.names

    @property
    def settings(self) -> dict[str, Any]:
        """How the swaps were made, for the record."""
        units = {n: np.flatnonzero(s).tolist() for n, s in zip(self.names, self.subsets, strict=True)}
        return {**self.data.settings, "pairs": len(self.first), "subsets": units, "tolerance": self.tolerance}

    @cached_property
    def outcome(self) -> tuple[Float[np.ndarray, "pair kept factor"], Float[np.ndarray, "pair kept factor"]]:
        """Of each pair, with each factor kept from the first clip: how each factor reads as in it, and how still."""
        count = len(self.names)
        agree, still = np.zeros((len(self.first), count, count)), np.ones((len(self.first), count, count))
        for k in tqdm(range(count), desc="swapping", disable=not self.progress or None):
            kept = np.concatenate([np.zeros(0, int), *[self.units[u] for u in np.flatnonzero(self.subsets[k])]])
            codes = self.codes[self.second].copy()
            codes[:, kept] = self.codes[self.first][:, kept]
            for start in range(0, len(codes), self.batch):
                rows = slice(start, start + self.batch)
                found = self._factors(codes[rows])
                agree[rows, k] = self._alike(found, self.data.factors[self.first[rows], None]).mean(1)
                still[rows, k] = self._alike(found, found[:, :1]).mean(1)
        return agree, still

    @cached_property
    def chance(self) -> Float[np.ndarray, " factor"]:
        """How often two clips at random agree in each factor."""
        rng = np.random.default_rng(self.data.seed)
        one, two = rng.integers(len(self.data.factors), size=(2, 20_000))
        return self._alike(self.data.factors[one], self.data.factors[two]).mean(0)

    def permuted(self, rng: np.random.Generator) -> Swaps:
        """Subsets of the same sizes, of units at random."""
        return replace(self, subsets=self.subsets[:, rng.permutation(self.subsets.shape[1])])

    def part(self, share: float, rng: np.random.Generator) -> Swaps:
        """A share of the pairs at random."""
        rows = draw_rows(share, len(self.first), None, rng)
        other = replace(self, first=self.first[rows], second=self.second[rows])
        vars(other).update(outcome=tuple(part[rows] for part in self.outcome), chance=self.chance)
        return other

    def _factors(self, codes: np.ndarray) -> Float[np.ndarray, "sample frame factor"]:
        found = as_array(self.read(codes.reshape(len(codes), *self.shape)))
        found = found[:, None] if found.ndim == 2 else found
        if found.ndim != 3 or len(found) != len(codes) or found.shape[2] != len(self.names):
            expected = f"({len(codes)}, {len(self.names)}) or ({len(codes)}, frame, {len(self.names)})"
            raise ValueError(f"`read` must return factors {expected}, got shape {found.shape}")
        return found.astype(np.float64) * self.turn

    def _alike(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether factors agree; one that could not be read (NaN) never does."""
        reach = self.tolerance * np.ptp(self.data.factors, axis=0)
        apart = np.abs(one - other)
        circular = np.array([kind == "circular" for kind in self.data.kinds])
        apart = np.where(circular, np.minimum(apart % 360, 360 - apart % 360), apart)
        reach = np.where(circular, self.tolerance * 360, reach)
        return apart <= np.where([kind in LABELLED for kind in self.data.kinds], 1e-6, reach)


@clear_errors
def swap(
    codes: Any,
    factors: Any,
    read: Predict,
    *,
    subsets: Mapping[str, Sequence[int]] | None = None,
    pairs: int = 256,
    tolerance: float = 0.1,
    batch: int = 64,
    null: int = 0,
    bootstrap: int = 0,
    seed: Seed = 0,
    progress: bool = False,
    **options: Any,
) -> tuple[Score, Score]:
    """Swap score and consistency of codes of clips, by intervention (as the MSD benchmark, 2025, scores sequences).

    For pairs of clips, the code of the second gets one factor's subset from the first; A_kj is how often factor j then
    reads as in the first. Swap = 1 - (mean_k (1 - A_kk) + mean_{j != k} |A_kj - c_j|) / 2 with c_j the agreement of two
    clips at random. Consistency: the share of frames that read as the first frame does, where `read` reads frames. The
    null level is that of subsets at random. Blind to whatever `read` does not see, and to two factors changing a
    reading in ways that cancel; a decoder that ignores its code scores about one half.

    Args:
        codes: `(sample, dim)`, or for sequences `(sample, frame, dim)`, where a dim is swapped in all frames.
        factors: `(sample, factor)`, of the whole clip.
        read: decodes codes and reads the factors of what comes out, `(sample, factor)` or `(sample, frame, factor)`, in
            their own units.
        subsets: dims (or groups, by their number) of each factor; by default each goes to the factor it tells most of.
        pairs: of clips.
        tolerance: of continuous and circular factors, as a share of their range.
        batch: codes read at once.
        null, bootstrap, seed, progress: as in `score`.
        options: as in `prepare`.

    Returns:
        Swap (`matrix` is A, `per_factor` its diagonal) and consistency.

    Raises:
        ValueError: subsets of unknown factors or dims, `read` returns another shape, data that cannot be scored.

    >>> factors = np.random.default_rng(0).integers(4, size=(300, 2))
    >>> round(swap(factors, factors, lambda codes: codes.round())[0].value, 1)
    1.0
    """
    raw = as_array(codes)
    if raw.ndim == 3:
        if options.get("units") is not None:
            raise ValueError("codes of sequences already group each dim over its frames; leave out `units`")
        options["units"] = {str(j): np.arange(raw.shape[1]) * raw.shape[2] + j for j in range(raw.shape[2])}
    flat, blocks = raw.reshape(len(raw), -1) if raw.ndim == 3 else raw, options.get("units")
    data = prepare(flat, factors, seed=seed, **options)
    units = [*np.arange(flat.shape[1])[:, None]] if blocks is None else [*name_groups(blocks, flat.shape[1]).values()]
    if pairs < 2 or batch < 1 or not 0 <= tolerance < 1:
        raise ValueError(
            f"2 pairs, a batch of 1 and a tolerance in [0, 1) at least, got {pairs=}, {batch=}, {tolerance=}"
        )
    rng = np.random.default_rng(seed)
    first, second = rng.integers(len(raw), size=pairs), rng.integers(1, len(raw), size=pairs)
    second = (first + second) % len(raw)
    if data.groups is not None:  # from another clip
        others = [np.flatnonzero(data.groups != data.groups[row]) for row in first]
        second = np.array([rows[at % len(rows)] for rows, at in zip(others, second, strict=True)])
    chosen = find_subsets(data) if subsets is None else _named_subsets(subsets, data)
    turn = in_degrees(np.ones((1, len(data.names))), data.kinds, factors)[0]
    evidence = Swaps(data, flat, units, raw.shape[1:], read, chosen, first, second, tolerance, batch, progress, turn)
    scores = assess(SWAP, evidence, null=null, bootstrap=bootstrap, seed=seed)
    return scores["swap"], scores["swap_consistency"]


def find_subsets(data: Data) -> Bool[np.ndarray, "factor unit"]:
    """Each unit goes to the factor it tells most of, as a share of its entropy, if that is more than chance."""
    best = (data.information / data.entropy).argmax(1)
    found = np.zeros((len(data.names), len(data.given)), bool)
    for unit, (at, factor) in enumerate(zip(data.kept, best, strict=True)):
        found[factor, at] = data.told[unit, factor]
    return found


def swap_of(swaps: Swaps) -> Parts:
    """1 - (mean miss + mean leak) / 2."""
    matrix = swaps.outcome[0].mean(0)
    own = np.diag(matrix)
    others = ~np.eye(len(matrix), dtype=bool)
    leak = np.abs(matrix - swaps.chance)[others].mean() if others.any() else 0.0
    return Parts(float(1 - ((1 - own).mean() + leak) / 2), own, None, matrix)


def consistency_of(swaps: Swaps) -> Parts:
    """How still each factor reads from frame to frame, whatever was swapped."""
    matrix = swaps.outcome[1].mean(0)
    return Parts(float(matrix.mean()), matrix.mean(0), None, matrix)


def _named_subsets(subsets: Mapping[str, Sequence[int]], data: Data) -> Bool[np.ndarray, "factor unit"]:
    found = np.zeros((len(data.names), len(data.given)), bool)
    for name, units in subsets.items():
        at = read_places(units, len(data.given))
        if name not in data.names or (len(at) and not 0 <= at.min() <= at.max() < len(data.given)):
            raise ValueError(f"subset {name!r}: {at.tolist()} fits neither {data.names} nor {len(data.given)} dims")
        found[data.names.index(name), at] = True
    return found


SWAP = (Metric("swap", swap_of, slow=True), Metric("swap_consistency", consistency_of, null=False))
