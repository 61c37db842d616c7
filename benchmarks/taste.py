"""How soon do rated batches find what somebody likes? A synthetic rater of known taste, who slips now and then.

python benchmarks/taste.py [--raters 100] [--noise 0.2]

Somebody likes one size, one speed and one hue together and says the opposite of what they think in a fifth of their
ratings. Batches of six are proposed by `preference.Taste` until 60 ratings. `liked` is the share of a last batch that
they truly like; `random` is that of settings drawn at random; `ended` the share of raters for whom the rule to stop
spoke before, after how many ratings (`ended at`), and how often what it then called the best is what they like. The
briefs differ in how many settings there are, and in whether an axis (guidance) does not matter to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentlab.bench.flags import main
from latentlab.preference.taste import Taste

BRIEFS = {
    "12 settings": {"size": 2, "speed": 2, "hue": 3},
    "24 settings": {"size": 2, "speed": 2, "hue": 6},
    "36 settings, one axis idle": {"size": 2, "speed": 2, "hue": 3, "guidance": 3},
}


@dataclass(frozen=True)
class Config:
    """How many raters, how often they slip."""

    raters: int = 100
    noise: float = 0.2
    ratings: int = 60
    batch: int = 6
    seed: int = 0


def rated(sizes: dict[str, int], config: Config, rater: int) -> dict[str, float]:
    """One rater until the last rating, with the rule to stop watched on the way."""
    rng = np.random.default_rng([config.seed, rater])
    axes = {name: tuple(range(count)) for name, count in sizes.items()}
    wanted = {name: int(rng.integers(sizes[name])) for name in ("size", "speed", "hue")}

    def likes(setting: dict[str, int]) -> bool:
        return all(setting[name] == value for name, value in wanted.items())

    tried, said, right, at = [], [], None, float("nan")
    while len(said) < config.ratings:
        taste = Taste(axes, tried, said)
        if right is None and taste.settled():
            right, at = likes(taste.best()), float(len(said))
        for setting in taste.propose(config.batch, seed=rater):
            tried.append(list(setting.values()))
            said.append(bool(likes(setting) ^ (rng.random() < config.noise)))
    taste = Taste(axes, tried, said)
    last = [likes(setting) for setting in taste.propose(24, seed=rater)]
    chance = float(np.mean([likes(dict(zip(axes, row, strict=True))) for row in np.ndindex(*sizes.values())]))
    ended = float("nan") if right is None else float(right)
    return {
        "liked": float(np.mean(last)),
        "best": float(likes(taste.best())),
        "random": chance,
        "ended right": ended,
        "at": at,
    }


def run(config: Config) -> dict[str, Any]:
    """Means over raters, with the standard error of `liked`."""
    found = {}
    for name, sizes in BRIEFS.items():
        rows = [rated(sizes, config, rater) for rater in range(config.raters)]
        table = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        stopped = np.isfinite(table["ended right"])
        found[name] = {
            **{key: float(table[key].mean()) for key in ("liked", "best", "random")},
            "liked, error": float(table["liked"].std() / len(rows) ** 0.5),
            "ended": float(stopped.mean()),
            "ended right": float(table["ended right"][stopped].mean()) if stopped.any() else None,
            "ended at": float(table["at"][stopped].mean()) if stopped.any() else None,
        }
    return found


if __name__ == "__main__":
    main(run)
