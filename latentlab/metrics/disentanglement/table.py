"""Scores as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentlab.metrics.disentanglement.result import Score


class ScoreTable(dict[str, Score]):
    """Scores by name, which prints as a table and gives rows that JSON can hold.

    >>> print(ScoreTable(mig=Score("mig", 0.5, null=0.1, adjusted=0.4444, ci=(0.4, 0.49))))
    metric  value   null  adjusted  interval          conditional
    mig     0.500  0.100     0.444  0.400 to 0.490              -
    """

    def rows(self) -> list[dict[str, Any]]:
        """One flat record for each metric: what it scored, and for which factor."""
        return [
            {"metric": name, "value": s.value, "null": s.null, "adjusted": s.adjusted, "ci": s.ci, "p": s.p,
             "conditional": s.conditional, "per_factor": s.per_factor}
            for name, s in self.items()
        ]  # fmt: skip

    def __str__(self) -> str:
        width = max(len("metric"), *map(len, self), 0)
        lines = [f"{'metric':<{width}}  {'value':>5}  {'null':>5}  {'adjusted':>8}  {'interval':<16}  conditional"]
        for name, s in self.items():
            known = s.ci is not None and not np.isnan(s.ci).any()
            interval = " to ".join(map(_shown, s.ci)) if s.ci and known else "-"
            numbers = f"{_shown(s.value):>5}  {_shown(s.null):>5}  {_shown(s.adjusted):>8}"
            lines.append(f"{name:<{width}}  {numbers}  {interval:<16}  {_shown(s.conditional):>11}")
        return "\n".join(lines)


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{round(number, 3) + 0.0:.3f}"  # no minus before a zero
