"""Which dimensions know of an attribute: mutual information against chance, ranked, and the fewest that suffice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.factors import FactorTable, as_array, column_names
from latentlab.metrics.disentanglement.data import Data
from latentlab.metrics.disentanglement.groups import encode_factor, predict_folds
from latentlab.metrics.disentanglement.prepare import prepare
from latentlab.shapes import in_a_line

LEAST = 50  # samples where an attribute is known
CANDIDATES = 24  # units that a set is chosen from, those that know most
CURVES = 12  # steps by which one dim may bend in the prediction


@dataclass(frozen=True)
class Carriers:
    """The fewest units found that carry an attribute.

    Attributes:
        units: names, in the order they were taken.
        explained: share of the attribute's variance that the first one, two, ... predict on samples not learned from.
        ceiling: the same of all candidates together, or of fewer where that is more: with few samples it may be.
    """

    units: tuple[str, ...]
    explained: tuple[float, ...]
    ceiling: float


@dataclass(frozen=True, eq=False)
class Information:
    """Mutual information of units of a code (dims, or groups of them) with attributes.

    Attributes:
        units, attributes: names.
        nats: as estimated, `(unit, attribute)`.
        null: what codes that know nothing reach: mean over permutations, `(unit, attribute)`.
        limit: for each attribute, the 95 % quantile of the largest value that any unit reaches by chance.
        share: (nats - null) / (entropy - null), `(unit, attribute)`; 0 is chance, 1 is all there is to know.
        carriers: the fewest units for each attribute.
    """

    units: tuple[str, ...]
    attributes: tuple[str, ...]
    nats: Float[np.ndarray, "unit attribute"]
    null: Float[np.ndarray, "unit attribute"]
    limit: Float[np.ndarray, " attribute"]
    share: Float[np.ndarray, "unit attribute"]
    carriers: dict[str, Carriers]

    __repr__ = in_a_line

    @property
    def real(self) -> Bool[np.ndarray, "unit attribute"]:
        """Where a unit knows more than chance would give any of them."""
        return self.nats > self.limit

    def ranked(self, attribute: str) -> list[tuple[str, float]]:
        """Units that know of an attribute beyond chance with their share, the best first.

        Raises:
            KeyError: no such attribute.
        """
        if attribute not in self.attributes:
            raise KeyError(f"no attribute {attribute!r}; there are {', '.join(self.attributes)}")
        k = self.attributes.index(attribute)
        order = np.argsort(-self.share[:, k], kind="stable")
        return [(self.units[j], float(self.share[j, k])) for j in order if self.real[j, k]]

    def rows(self) -> list[dict[str, Any]]:
        """One row an attribute: best units, and the fewest that carry it."""
        rows = []
        for name in self.attributes:
            set_ = self.carriers[name]
            explained = set_.explained[-1] if set_.explained else 0.0
            rows.append({"attribute": name, "ranked": self.ranked(name), "carriers": list(set_.units),
                         "explained": explained, "ceiling": set_.ceiling})  # fmt: skip
        return rows

    def table(self, top: int = 3) -> str:
        """The rows as Markdown."""
        lines = ["| attribute | units that know of it | fewest that carry it | explained | by all |",
                 "| --- | --- | --- | --- | --- |"]  # fmt: skip
        for row in self.rows():
            best = ", ".join(f"{unit} {share:.2f}" for unit, share in row["ranked"][:top]) or "none beyond chance"
            lines.append(
                f"| {row['attribute']} | {best} | {', '.join(row['carriers']) or 'none'} | {row['explained']:.2f} "
                f"| {row['ceiling']:.2f} |"
            )
        return "\n".join(lines)


@clear_errors
def information(
    codes: Any,
    attributes: Any,
    *,
    null: int = 20,
    enough: float = 0.95,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Information:
    """Mutual information of dims with attributes, its level by chance, and the fewest dims that carry each attribute.

    A set is chosen greedily: the unit that adds most to what a ridge regression predicts on samples it did not learn
    from, each dim bent by its quantile bins (an additive model), until `enough` of what all candidates predict is
    reached; then units that are not missed are dropped again. Blind to what dims hold only as a product.

    Args:
        codes: `(sample, dim)`, numpy or torch; 50 samples or more.
        attributes: `(sample, attribute)`, a `FactorTable` or an array; each is judged where it is not NaN.
        null: permutations, 2 or more.
        enough: share of what all candidates predict.
        seed: of the permutations.
        progress: show a bar.
        options: of `metrics.disentanglement.prepare`: kinds, names, bins, units, groups, estimator.

    Raises:
        ValueError: settings or data that cannot be.

    >>> rng = np.random.default_rng(0)
    >>> light = rng.random((400, 1))
    >>> codes = np.concatenate([light + 0.1 * rng.standard_normal((400, 1)), rng.standard_normal((400, 3))], 1)
    >>> information(codes, light, names=["light"]).carriers["light"].units
    ('0',)
    """
    if not isinstance(null, int | np.integer) or null < 2 or not 0 < enough <= 1:
        raise ValueError(f"null must be a whole number of 2 or more and enough in (0, 1], got {null} and {enough}")
    raw = as_array(attributes)
    known = ~np.isnan(raw) if raw.dtype.kind == "f" else np.ones(raw.shape, bool)
    if column_names(attributes) is not None and options.get("names") is None:
        options["names"] = column_names(attributes)
    if raw.ndim == 2 and not known.all():
        table = attributes if isinstance(attributes, FactorTable) else None
        if known.sum(0).min() < LEAST:
            names = options.get("names") or range(raw.shape[1])
            told = dict(zip(names, known.sum(0).tolist(), strict=False))
            raise ValueError(f"too few samples where an attribute is known, {LEAST} are the least; there are {told}")
        filled = np.where(known, raw, raw[known.argmax(0), np.arange(raw.shape[1])])  # those rows are left out
        attributes = FactorTable(filled, table.specs) if table else filled
    data = prepare(codes, attributes, seed=seed, **options)
    units, entropy = tuple(map(str, data.given)), np.zeros(len(data.names))
    nats, mean = np.zeros((2, len(units), len(data.names)))
    limit, carriers = np.zeros(len(data.names)), {}
    for k, name in tqdm(enumerate(data.names), total=len(data.names), desc="attributes", disable=not progress or None):
        one = data.about(k, known[:, k])
        chance = np.stack([one.permuted(np.random.default_rng([seed, i])).information[:, 0] for i in range(null)])
        own, entropy[k], limit[k] = one.information[:, 0], one.entropy[0], np.quantile(chance.max(1), 0.95)
        nats[data.kept, k], mean[data.kept, k] = own, chance.mean(0)
        carriers[name] = _fewest(one, own > limit[k], [units[j] for j in data.kept], enough)
    share = (nats - mean) / np.maximum(entropy - mean, 1e-12)
    return Information(units, data.names, nats, mean, limit, share, carriers)


def _fewest(data: Data, real: np.ndarray, units: list[str], enough: float) -> Carriers:
    """Greedy forward, then backward, among the units that know most."""
    candidates = [int(j) for j in np.argsort(-data.information[:, 0], kind="stable")[:CANDIDATES] if real[j]]
    if not candidates:
        return Carriers((), (), 0.0)
    features = {j: _features(data, j) for j in candidates}
    target = encode_factor(data.factors[:, 0], data.labels[0], data.kinds[0])

    def explained(chosen: list[int]) -> float:
        predicted = predict_folds(np.concatenate([features[j] for j in chosen], 1), target, data.groups)
        return float(1 - ((target - predicted) ** 2).sum() / ((target - target.mean(0)) ** 2).sum())

    ceiling, reached = explained(candidates), -np.inf
    chosen: list[int] = []
    while rest := [j for j in candidates if j not in chosen]:
        grown = [explained([*chosen, j]) for j in rest]
        ceiling = max(ceiling, *grown)
        if reached >= enough * ceiling:
            break
        chosen, reached = [*chosen, rest[int(np.argmax(grown))]], max(grown)
    if ceiling <= 0:
        return Carriers((), (), 0.0)  # information that too few samples hold to predict from
    for j in chosen[:-1]:
        rest = [i for i in chosen if i != j]
        if explained(rest) >= enough * ceiling:
            chosen = rest
    steps = tuple(explained(chosen[: i + 1]) for i in range(len(chosen)))
    return Carriers(tuple(units[j] for j in chosen), steps, ceiling)


def _features(data: Data, unit: int) -> Float[np.ndarray, "sample feature"]:
    """A dim as itself and its quantile steps, so that a linear fit may bend; the dims of a group as they are."""
    columns = data.codes[:, data.units[unit]]
    if columns.shape[1] > 1:
        return columns
    edges = np.unique(np.quantile(columns, np.linspace(0, 1, CURVES + 1)[1:-1]))
    return np.concatenate([columns, columns > edges], 1)
