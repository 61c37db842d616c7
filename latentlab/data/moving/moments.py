"""Complex moments of mattes, and straight lines through what they do over time."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from torch import Tensor

ORDER = 5  # highest moment; the star needs the fifth
MIN_AREA, MAX_AREA = 16.0, 1500.0  # pixels; else there is no object to speak of


@dataclass(frozen=True)
class MatteMoments:
    """Of the matte in each frame: `central[..., k]` is the mean of `z**k` over the object, from its centroid."""

    seen: np.ndarray  # (batch, frame), is there an object
    area: np.ndarray  # (batch, frame), pixels
    centre: np.ndarray  # (batch, frame, 2), pixels from the left and the top
    central: np.ndarray  # (batch, frame, ORDER + 1), complex

    @classmethod
    def of(cls, matte: Tensor) -> MatteMoments:
        height, width = matte.shape[-2:]
        z = (np.arange(width) + 0.5 - width / 2) - 1j * (np.arange(height)[:, None] + 0.5 - height / 2)
        powers = torch.from_numpy(np.stack([z.ravel() ** k for k in range(ORDER + 1)], 1))
        columns = torch.cat([powers.real, powers.imag], 1)
        real, imag = (matte.flatten(2).cpu().double() @ columns).chunk(2, -1)
        raw = real.numpy() + 1j * imag.numpy()
        area = np.real(raw[..., 0])
        seen = np.asarray((area > MIN_AREA) & (area < MAX_AREA))
        raw = raw / np.where(seen, area, 1.0)[..., None]
        centroid = np.where(seen, raw[..., 1], 0)
        # Powers of z shift among themselves: mean((z - c)**k) = sum_j comb(k, j) mean(z**j) (-c)**(k - j).
        central = [
            sum(comb(k, j) * raw[..., j] * (-centroid) ** (k - j) for j in range(k + 1)) for k in range(ORDER + 1)
        ]
        centre = np.stack([np.real(centroid) + width / 2, height / 2 - np.imag(centroid)], -1)
        return cls(seen, area, centre, np.stack(central, -1) * seen[..., None])


def polygon_moment(corners: np.ndarray, k: int) -> complex:
    """Mean of `z**k` over a polygon of unit disc area: by Green, the contour integral of `conj(z) z**k dz / 2i pi`."""
    z = corners @ np.array([1, 1j])
    nodes, weights = np.polynomial.legendre.leggauss(ORDER)  # exact for the polynomial on each edge
    step = np.roll(z, -1) - z
    points = z + np.multiply.outer((nodes + 1) / 2, step)
    return complex((weights[:, None] / 2 * points.conj() * points**k * step).sum() / 2j) / np.pi


def robust_line(values: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, slope and the slope's standard error of `values` `(batch, frame)`, by least squares less outliers."""
    time = np.arange(values.shape[1], dtype=float)
    count = seen.sum(1)
    weight = seen.astype(float)
    start = slope = error = np.full(len(values), np.nan)
    for _ in range(6):
        total = np.maximum(weight.sum(1), 1e-9)
        middle, level = (weight * time).sum(1) / total, (weight * values).sum(1) / total
        late = (time - middle[:, None]) * weight
        spread = np.where(count > 1, (late * (time - middle[:, None])).sum(1), np.nan)
        slope = (late * values).sum(1) / spread
        start = level - np.where(count > 1, slope, 0) * middle
        residual = values - level[:, None] - np.nan_to_num(slope)[:, None] * (time - middle[:, None])
        error = np.sqrt((weight * residual**2).sum(1) / np.maximum(count - 2, 1) / spread)
        scale = 3 * np.sqrt((weight * residual**2).sum(1) / total) + 1e-4
        weight = seen / (1 + (residual / scale[:, None]) ** 2)  # Cauchy's weights
    return start, slope, error
