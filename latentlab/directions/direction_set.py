"""A set of directions, with what is known of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from latentlab.checks import as_numbers, clear_errors
from latentlab.directions.direction import Direction, Normal

TINY = np.finfo(float).tiny


@clear_errors
@dataclass(frozen=True, eq=False, repr=False)
class DirectionSet:
    """Named directions of one space, with the covariance of the codes along them.

    Whatever is made of them by adding and subtracting lies in their span, so its scale is known without the codes.

    Attributes:
        names: of the directions.
        vectors: unit vectors, `(direction, dim)`; zeros where nothing was found.
        covariance: of the codes along all of them, `(direction, direction)`.
        lengths: of the effects before they became unit vectors, `(direction,)`; None takes them all for equal.
        reads: whether the vectors are normals, by which factors are read, rather than moves.
        t, r2, p: see `Direction`, `(direction,)`; None where not known.
        provenance: how they were found, plain values.

    >>> found = DirectionSet(("light", "size"), np.eye(2), np.diag([4.0, 1.0]))
    >>> found["light"].scale
    2.0
    """

    names: tuple[str, ...]
    vectors: Float[np.ndarray, "direction dim"]
    covariance: Float[np.ndarray, "direction direction"]
    lengths: np.ndarray | None = None
    reads: bool = field(default=False, kw_only=True)
    t: np.ndarray | None = None
    r2: np.ndarray | None = None
    p: np.ndarray | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """A table of what is known, one direction a line."""
        if not len(self):
            return "DirectionSet of no directions"
        rows = [["", "scale", "t", "R2", "p"]]
        for one in self:
            figures = [f"{x:.3g}" if np.isfinite(x) else "-" for x in (one.scale, one.t, one.r2, one.p)]
            rows.append([one.name, *figures])
        rows = [row for row in zip(*rows, strict=True) if set(row[1:]) != {"-"}]
        width = [max(map(len, column)) for column in rows]
        lines = [
            "  ".join(cell.rjust(w) for cell, w in zip(row, width, strict=True)) for row in zip(*rows, strict=True)
        ]
        count = int(self.provenance.get("permutations", 0) or 0)
        floor = [f"p of {count} permutations is at least {1 / (1 + count):.2g}"] if count and self.p is not None else []
        return "\n".join([f"{len(self)} directions of {self.vectors.shape[1]} dims", *lines, *floor])

    def __post_init__(self) -> None:
        count = len(self.names)
        if np.ndim(self.vectors) != 2 or np.shape(self.covariance) != (count, count):
            raise ValueError(
                f"{count} names need vectors ({count}, dim) and a covariance ({count}, {count}), got "
                f"{np.shape(self.vectors)} and {np.shape(self.covariance)}"
            )
        if len(set(self.names)) < len(self.names) or len(self.names) != len(self.vectors):
            raise ValueError(
                f"{len(self.vectors)} directions need as many different names, got {', '.join(self.names)}"
            )

        if not (np.isfinite(self.vectors).all() and np.isfinite(self.covariance).all()):
            raise ValueError("vectors and covariance of directions must be finite, got NaN or infinity")

    @staticmethod
    @clear_errors
    def measured(names: Sequence[str], effects: np.ndarray, codes: np.ndarray, **known: Any) -> DirectionSet:
        """Effects of any length made unit vectors, with the covariance of codes along them.

        Args:
            names: of the effects.
            effects: `(direction, dim)`.
            codes: `(sample, dim)`.
            known: further attributes.
        """
        codes, effects = as_numbers("codes", codes), as_numbers("effects", effects)
        if not (len(codes) and np.isfinite(codes).all() and np.isfinite(effects).all()):
            raise ValueError(f"codes, at least one, and effects must be finite, got {len(codes)} codes, or NaN in them")
        vectors, lengths = unit(effects)
        along = (codes @ vectors.T.astype(codes.dtype)).astype(np.float64)
        along -= along.mean(0)
        return DirectionSet(tuple(names), vectors, along.T @ along / len(along), lengths, **known)

    @property
    def scale(self) -> Float[np.ndarray, " direction"]:
        """Standard deviation of the codes along each direction."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))

    @clear_errors
    def normals(self, *factors: str) -> tuple[Normal, ...]:
        """What reads these factors off codes, for `edit(..., preserve=)`.

        Moves W are read by their dual, the columns of the pseudo-inverse of W: `w_i n_j = 1` for i = j, else 0, so that
        what moves one factor leaves the reading of the others. Finders of normals have them as they are.

        Args:
            factors: names of directions, or of factors that have several: "hue" is "hue@0" and "hue@90".

        Raises:
            KeyError: no such factor.

        >>> found = DirectionSet(("x", "y"), np.array([[1.0, 0.0], [0.6, 0.8]]), np.eye(2))
        >>> found.normals("y")[0].vector.round(9)
        array([0., 1.])
        """
        rows = [row for factor in factors for row in self._rows(factor)]
        moves = self.vectors if self.lengths is None else self.vectors * self.lengths[:, None]
        read = unit(self.vectors if self.reads else np.linalg.pinv(moves, rcond=1e-6).T)[0]
        return tuple(Normal(self.names[row], read[row]) for row in rows)

    def _rows(self, factor: str) -> list[int]:
        """Rows of a direction, or of all directions of a factor."""
        own = [i for i, name in enumerate(self.names) if name.startswith((f"{factor}@", f"{factor}="))]
        return own or [self.index(factor)]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Direction]:
        return (self[name] for name in self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Direction:
        """A direction by name; "hue@240" is the direction of a circular factor towards an angle in degrees."""
        count = (int(self.provenance.get("permutations", 0) or 0),)
        if name in self.names:
            i = self.names.index(name)
            return Direction(name, self.vectors[i], float(self.scale[i]), *self._known(np.eye(len(self))[i]), *count)
        if (angle := re.fullmatch(r"(.+)@(-?\d+\.?\d*)", name)) and f"{angle[1]}@0" in self.names:
            pair = [self.names.index(f"{angle[1]}@{part}") for part in (0, 90)]
            turn = np.deg2rad(float(angle[2]))
            share = np.zeros(len(self))
            share[pair] = np.cos(turn), np.sin(turn)
            known = self._known(share)
            share = share if self.lengths is None else share * self.lengths
            length = max(np.linalg.norm(share @ self.vectors), TINY)
            scale = np.sqrt(max(share @ self.covariance @ share, 0.0)) / length
            return Direction(name, share @ self.vectors / length, float(scale), *known, *count)
        angles = f"; any angle of it will do, such as {name}@45" if f"{name}@0" in self.names else ""
        raise KeyError(f"no direction {name!r}; there are {', '.join(self.names)}{angles}")

    def _known(self, share: np.ndarray) -> tuple[float, float, float]:
        """t, R2 and p of a mixture with these shares, whose squares sum to 1."""
        weights = share**2
        t, r2, p = (np.full(len(self), np.nan) if x is None else x for x in (self.t, self.r2, self.p))
        used = weights > 0
        squares = weights[used] @ (np.sign(t[used]) * t[used] ** 2)
        return float(np.sign(squares) * np.sqrt(abs(squares))), float(weights[used] @ r2[used]), float(p[used].max())

    @clear_errors
    def made_of(self, shares: np.ndarray, names: Sequence[str]) -> DirectionSet:
        """Directions mixed of these; row i of `shares` says how much of each goes into the new direction i.

        What is known of single directions (t, R2, p) stays with those that are not mixed, and is NaN for mixtures.

        Raises:
            ValueError: a mixture is zero: its parts cancel.
        """
        shares = as_numbers("shares", shares)
        if shares.shape != (len(names), len(self)):
            raise ValueError(f"shares must be ({len(names)}, {len(self)}), a row a name, got {shares.shape}")
        if not np.isfinite(shares).all():
            raise ValueError("shares must be finite, got NaN or infinity")
        vectors = shares @ self.vectors
        lengths = np.linalg.norm(vectors, axis=1)
        mixed = (shares != 0).sum(1) != 1
        if lost := [name for name, length, mix in zip(names, lengths, mixed, strict=True) if mix and length < 1e-9]:
            raise ValueError(f"nothing is left of {', '.join(map(repr, lost))}: its parts cancel")
        scale = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)[:, None]
        source = np.abs(shares).argmax(1)
        known: dict[str, Any] = {}
        for part in ("t", "r2", "p"):
            if (values := getattr(self, part)) is not None:
                known[part] = np.where(mixed, np.nan, values[source])
        if self.lengths is not None:
            known["lengths"] = np.where(mixed, lengths * self.lengths[source], self.lengths[source])
        covariance = (shares * scale) @ self.covariance @ (shares * scale).T
        known |= {"reads": self.reads, "provenance": dict(self.provenance)}
        return DirectionSet(tuple(names), vectors * scale, covariance, **known)

    @clear_errors
    def select(self, names: Sequence[str]) -> DirectionSet:
        """Only these, in this order.

        Raises:
            KeyError: no such direction.
        """
        rows = [self.index(name) for name in names]
        known = {part: None if (x := getattr(self, part)) is None else x[rows] for part in ("lengths", "t", "r2", "p")}
        return replace(
            self,
            names=tuple(names),
            vectors=self.vectors[rows],
            covariance=self.covariance[np.ix_(rows, rows)],
            **known,
        )

    @clear_errors
    def renamed(self, names: Mapping[str, str]) -> DirectionSet:
        """The same with some names exchanged, `{"pca0": "light"}`.

        Raises:
            KeyError: no such direction.
            ValueError: two would have one name.
        """
        for name in names:
            self.index(name)
        changed = tuple(names.get(name, name) for name in self.names)
        if len(set(changed)) < len(changed):
            raise ValueError(f"two directions cannot have one name: {', '.join(changed)}")
        return replace(self, names=changed)

    @clear_errors
    def index(self, name: str) -> int:
        """Row of a direction.

        Raises:
            KeyError: no such direction.
        """
        if name not in self.names:
            raise KeyError(f"no direction {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


@runtime_checkable
class Fitted(Protocol):
    """A finder that has found a set."""

    @property
    def found_(self) -> DirectionSet: ...


Directions = DirectionSet | Fitted


def as_set(directions: Directions) -> DirectionSet:
    """A set as it is, or that of a fitted finder.

    Raises:
        TypeError: neither.
    """
    found = directions.found_ if isinstance(directions, Fitted) else directions
    if not isinstance(found, DirectionSet):
        raise TypeError(f"needs a set of directions or a fitted finder, got {type(directions).__name__}")
    return found


def unit(effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as unit vectors, and their lengths; zero rows stay zero."""
    effects = np.asarray(effects, dtype=np.float64)
    lengths = np.linalg.norm(effects, axis=1)
    return np.divide(effects, lengths[:, None], out=np.zeros_like(effects), where=lengths[:, None] > 0), lengths
