"""Conditional manipulation: a network that says how a code changes when one factor changes and others are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.checks import Count, Seed, as_numbers, clear_errors
from latentlab.directions.design import read_groups, read_labels
from latentlab.directions.factor_units import FactorUnits
from latentlab.factors import Factor, FactorTable
from latentlab.shapes import Codes, check_codes


class ResidualRegressor(nn.Module):
    """A linear map by ridge regression, and a network that is trained on what it leaves.

    The network starts as zero, so that the map is never worse on held-out samples than the linear one.
    """

    centre: Tensor

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.linear = nn.Linear(inputs, outputs)
        last = nn.Linear(width, outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.rest = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.rest(x - self.centre)

    def learn(
        self, x: Tensor, y: Tensor, group: Tensor, *, ridge: float, steps: Count, seed: Seed, progress: str | None
    ) -> tuple[float, float]:
        """Fits the linear part, then trains the rest, and keeps what was best on a tenth of the groups.

        Returns:
            Mean squared error on that tenth of the linear map alone, and of the whole.
        """
        rng = torch.Generator().manual_seed(seed)
        names, member = group.unique(return_inverse=True)
        place = torch.randperm(len(names), generator=rng)[member]
        order = place.argsort()
        tenth = int((place < max(len(names) // 10, 1)).sum())
        held, used = order[:tenth], order[tenth:]
        mean_x, mean_y = x[used].mean(0), y[used].mean(0)
        a, b = x[used] - mean_x, y[used] - mean_y
        gram = a.T @ a / len(a)
        weight = torch.linalg.solve(gram + ridge * gram.diagonal().mean() * torch.eye(len(gram)), a.T @ b / len(a)).T
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            self.linear.bias.copy_(mean_y - weight @ mean_x)
            self.centre.copy_(mean_x)
        self.linear.requires_grad_(False)
        optimizer = torch.optim.AdamW(self.rest.parameters(), lr=1e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        first = best = self._error(x[held], y[held])
        kept = {name: value.clone() for name, value in self.state_dict().items()}
        for step in tqdm(range(1, steps + 1), desc=progress, disable=progress is None or None):
            rows = used[torch.randint(len(used), (128,), generator=rng)]
            loss = (self(x[rows]) - y[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % 50 == 0 or step == steps:
                error = self._error(x[held], y[held])
                if error < best:
                    best, kept = error, {name: value.clone() for name, value in self.state_dict().items()}
        self.load_state_dict(kept)
        self.requires_grad_(False)
        return first, best

    @torch.no_grad()
    def _error(self, x: Tensor, y: Tensor) -> float:
        return float((self(x) - y).square().mean())


class Manipulator(BaseEstimator):
    """Edits that follow the bends of a space: `z' = z + m(f') - m(f)`.

    `m(f) = E[z | f]` is a network from factors to codes, and f is read off the code by a second one; both start as the
    ridge regression. f' is f with the target moved and the named others held, so what m has learned of their effect
    does not change. Whatever of z the factors do not tell stays, as with a direction. Where codes are linear in the
    factors this is `Effect`; where the effect of one factor depends on another, as that of light on the hue, a
    direction is right on average only.

    Args:
        components: principal components of the codes that the networks see and change.
        width: of the networks.
        steps: of training, each.
        ridge: of the linear parts, a share of the mean variance.
        random_state: of the training.
        progress: show bars.

    Attributes:
        units_: the units; a strength is in standard deviations of the factor.
        error_: mean squared error of codes on samples left out (a tenth, by groups), by the linear map and by the
            network, in units of the components' mean variance.
        read_error_: likewise of the factors, in variances.

    >>> rng = np.random.default_rng(0)
    >>> table = FactorTable(rng.uniform(size=(300, 1)), (Factor("light", "continuous", 0, 1),))
    >>> codes = torch.from_numpy(table.values**2 @ np.ones((1, 4)))
    >>> moved = Manipulator(steps=300).fit(codes, table).edit(codes[:1], "light", 1.0)
    >>> moved.shape
    torch.Size([1, 4])
    """

    def __init__(
        self,
        *,
        components: Count = 128,
        width: Count = 256,
        steps: Count = 2000,
        ridge: float = 1e-2,
        random_state: Seed = 0,
        progress: bool = False,
    ) -> None:
        self.components = components
        self.width = width
        self.steps = steps
        self.ridge = ridge
        self.random_state = random_state
        self.progress = progress

    @clear_errors
    def fit(self, codes: Any, y: Any, groups: Any = None) -> Self:
        """Learns both networks.

        Args:
            codes: `(sample, dim)`, numpy or torch.
            y: the factors of each, a table or an array `(sample, factor)` of continuous ones, which are then called
                "factor0", "factor1", ...; samples with an unknown one are left out.
            groups: one label a sample, equal for samples that belong together, such as frames of one clip; they are
                left out together where training is stopped and judged. None takes every sample for itself.

        Raises:
            ValueError: codes with NaN or all equal, numbers of samples that differ, or fewer than 20 fully labelled
                samples, or these all of one group.
        """
        y = _table(y)
        z = torch.from_numpy(np.array(as_numbers("codes", codes), np.float32))
        if z.ndim != 2 or len(z) != len(y):
            raise ValueError(f"codes {tuple(z.shape)} are not one row for each of {len(y)} rows of factors")
        if not z.isfinite().all():
            raise ValueError("codes hold NaN or infinity")
        known = np.asarray(np.isfinite(y.values).all(1))
        if known.sum() < 20:
            raise ValueError(f"{known.sum()} fully labelled samples are too few to train on; 20 are the least")
        group = read_groups(read_groups(groups, len(y))[known], int(known.sum()))
        z, y, group = z[torch.from_numpy(known)], y[known], torch.from_numpy(group)
        self.units_ = FactorUnits.of(y)
        self.mean_ = z.mean(0)
        if not (z != z[0]).any():
            raise ValueError("all codes are equal; there is nothing to learn")
        count = min(self.components, *z.shape)
        self.axes_ = torch.linalg.svd(z - self.mean_, full_matrices=False)[2][:count]
        inside = (z - self.mean_) @ self.axes_.T
        self.unit_ = float(inside.square().mean().sqrt()) or 1.0
        inside = inside / self.unit_
        points = self._points(y)
        self.centre_ = points.mean(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self.mean_of_ = ResidualRegressor(points.shape[1], count, self.width)
            self.reader_ = ResidualRegressor(count, points.shape[1], self.width)
        options = {"ridge": self.ridge, "steps": self.steps, "seed": self.random_state}
        bars = ("learning codes of factors", "learning to read factors") if self.progress else (None, None)
        self.error_ = self.mean_of_.learn(points, inside, group, progress=bars[0], **options)
        self.read_error_ = self.reader_.learn(inside, points, group, progress=bars[1], **options)
        spread = points - self.centre_
        self.covariance_ = spread.T @ spread / len(points)
        return self

    @clear_errors
    def edit(
        self,
        codes: Codes,
        target: str,
        strength: float,
        *,
        hold: Sequence[str] | None = None,
        factors: FactorTable | None = None,
    ) -> Codes:
        """Moves codes so that one factor changes.

        Args:
            codes: `(sample, dim)`.
            target: "light", "hue@240", "shape=star".
            strength: in standard deviations of the factor; an angle turns towards the one named, and stays there.
            hold: factors that are to stay as they are; None is all others. Those left out follow the target as they do
                in the labelled samples.
            factors: of the codes, where they are known; None reads them.

        Raises:
            KeyError: no such factor.
            ValueError: codes of another space, or a strength that is not finite.
        """
        check_is_fitted(self, "reader_")
        if codes.ndim != 2 or codes.shape[1] != len(self.mean_):
            raise ValueError(f"codes have shape {tuple(codes.shape)}, those learned from had {len(self.mean_)} dims")
        check_codes(codes)
        if not np.isfinite(strength):
            raise ValueError(f"strength must be finite, got {strength}")
        inside = (codes.detach().cpu().float() - self.mean_) @ self.axes_.T / self.unit_
        before = self._settled(self.reader_(inside) if factors is None else self._points(factors))
        after = self._settled(before + strength * self._step(target, hold))
        change = self.unit_ * (self.mean_of_(after) - self.mean_of_(before)) @ self.axes_
        return codes + change.to(codes)

    def _step(self, target: str, hold: Sequence[str] | None) -> Float[Tensor, " coordinate"]:
        """How the factors' points move when the target moves by one."""
        factor, way = self.units_.target(target)
        for name in hold or ():
            if name not in self.units_.names:
                raise KeyError(f"no factor {name!r} to hold; there are {', '.join(self.units_.names)}")
        places = self._places()
        step = torch.zeros(len(self.centre_))
        step[places[factor]] = torch.from_numpy(way).float()
        if hold is not None:
            along = self.covariance_ @ step
            follow = along / (step @ along).clamp(min=1e-12)  # slope of every point on the target's
            for i, name in enumerate(self.units_.names):
                if i != factor and name not in hold:
                    step[places[i]] = follow[places[i]]
        return step

    def _settled(self, points: Tensor) -> Tensor:
        """Points as they can be: angles on their circle, categories between their corners."""
        points = points.clone()
        for spec, unit, place in zip(self.units_.specs, self.units_.units, self._places(), strict=True):
            if spec.kind == "circular":
                points[:, place] = nn.functional.normalize(points[:, place], dim=1) / unit
            elif spec.kind == "categorical":
                share = (points[:, place] * unit).clamp(min=0)
                points[:, place] = share / share.sum(1, keepdim=True).clamp(min=1e-6) / unit
        return points

    def _points(self, table: FactorTable) -> Float[Tensor, "sample coordinate"]:
        return torch.from_numpy(np.concatenate(self.units_.points(table), 1)).float()

    def _places(self) -> list[slice]:
        """Where each factor's coordinates are."""
        sizes = [self._size(spec, values) for spec, values in zip(self.units_.specs, self.units_.values, strict=True)]
        ends = np.cumsum(sizes)
        return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]

    @staticmethod
    def _size(spec: Factor, values: Sequence[float]) -> int:
        return {"circular": 2, "categorical": len(values)}.get(spec.kind, 1)


def _table(y) -> FactorTable:
    if isinstance(y, FactorTable):
        return y
    labels = read_labels(y, None, None)
    return FactorTable(labels.values, tuple(Factor(name, "continuous", -np.inf, np.inf) for name in labels.names))
