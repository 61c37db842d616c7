"""Directions made of others: sums, differences, orthogonal sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from latentlab.checks import clear_errors
from latentlab.directions.direction_set import Directions, DirectionSet, as_set


@clear_errors
def add(directions: Directions, shares: Mapping[str, float], name: str) -> DirectionSet:
    """The set with one more direction: a weighted sum of others, each counted in its standard deviations.

    Moving by one unit of the sum goes where moving by the shares goes, up to length.

    Args:
        directions: the set, or the fitted finder that found it.
        shares: how many standard deviations of each; negative goes the other way.
        name: of the sum.

    Raises:
        KeyError: no such direction.
        ValueError: the name is taken, a share is not finite, or the sum is zero.

    >>> both = add(DirectionSet(("x", "y"), np.eye(2), np.eye(2)), {"x": 3, "y": -4}, "across")
    >>> both["across"].vector
    array([ 0.6, -0.8])
    """
    directions = as_set(directions)
    row = np.zeros(len(directions))
    for part, share in shares.items():
        i = directions.index(part)
        if not np.isfinite(share):
            raise ValueError(f"a share is a finite number of standard deviations, got {share} of {part!r}")
        row[i] = share * directions.scale[i]
    if name in directions:
        raise ValueError(f"there is a direction {name!r} already; call the sum something else")
    return directions.made_of(np.vstack([np.eye(len(directions)), row]), [*directions.names, name])


@clear_errors
def project_out(directions: Directions, name: str, others: Sequence[str]) -> DirectionSet:
    """The set in which one direction has lost its part in the span of others.

    Args:
        directions: the set, or the fitted finder that found it.
        name: the one that changes.
        others: what it is made orthogonal to.

    Raises:
        KeyError: no such direction.
        ValueError: nothing of it is left.

    >>> slanted = DirectionSet(("x", "y"), np.array([[0.6, 0.8], [0.0, 1.0]]), np.eye(2))
    >>> project_out(slanted, "x", ["y"])["x"].vector.round(9)
    array([1., 0.])
    """
    directions = as_set(directions)
    i, rest = directions.index(name), [directions.index(other) for other in others]
    if i in rest:
        raise ValueError(f"{name!r} cannot be taken out of itself")
    shares = np.eye(len(directions))
    if rest:
        shares[i, rest] -= np.linalg.lstsq(directions.vectors[rest].T, directions.vectors[i], rcond=1e-10)[0]
    return directions.made_of(shares, directions.names)


@clear_errors
def orthogonalise(directions: Directions, order: Sequence[str] | None = None) -> DirectionSet:
    """All directions made orthogonal.

    Args:
        directions: the set, or the fitted finder that found it.
        order: the first stays as it is, each next loses what the ones before span (Gram-Schmidt); None changes all by
            as little as possible together (Löwdin 1950): the nearest orthonormal set.

    Raises:
        KeyError: no such direction.
        ValueError: directions that depend on each other.

    >>> slanted = DirectionSet(("x", "y"), np.array([[1.0, 0.0], [0.6, 0.8]]), np.eye(2))
    >>> abs(orthogonalise(slanted, ["x", "y"]).vectors).round(9)
    array([[1., 0.],
           [0., 1.]])
    """
    directions = as_set(directions)
    names = list(directions.names) if order is None else list(order)
    if not names:
        raise ValueError("order names at least one direction, got none")
    chosen = directions.select(names)
    gram = chosen.vectors @ chosen.vectors.T
    values, axes = np.linalg.eigh(gram)
    if values[0] < 1e-10:
        dependent = ", ".join(names[i] for i in np.flatnonzero(np.abs(axes[:, 0]) > 1e-3))
        raise ValueError(f"{dependent} depend on each other; leave one of them out with select")
    # Shares T with T G T^T = I: the inverse root of G (Löwdin), or of its Cholesky factor (Gram-Schmidt).
    shares = axes / np.sqrt(values) @ axes.T if order is None else np.linalg.inv(np.linalg.cholesky(gram))
    return chosen.made_of(shares, names)
