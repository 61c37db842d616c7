"""Paths through keyframes."""

import math

import pytest
import torch

from latentlab.interpolate import slerp, spline
from latentlab.interpolate.pair import as_rows
from latentlab.interpolate.path import _inner_points


def circle(*degrees: float) -> torch.Tensor:
    radians = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([radians.cos(), radians.sin()], 1)[:, None]


def test_a_spline_passes_through_its_keyframes_and_keeps_norms():
    keys = torch.randn(4, 3, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    keys = keys / keys.norm(dim=2, keepdim=True) * 5
    torch.testing.assert_close(spline(keys, [0, 1 / 3, 2 / 3, 1]), keys)
    torch.testing.assert_close(spline(keys, torch.linspace(0, 1, 17)).norm(dim=2), torch.full((17, 3), 5.0).double())


def test_evenly_turning_keyframes_give_an_even_turn():
    path = spline(circle(0, 30, 60, 90), torch.linspace(0, 1, 10))[:, 0]
    angles = torch.rad2deg(torch.atan2(path[:, 1], path[:, 0]))
    torch.testing.assert_close(angles, torch.linspace(0, 90, 10).double(), atol=1.5, rtol=0)


def test_the_direction_has_no_corner_where_slerp_has_one():
    keys = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]], dtype=torch.float64)[:, None]
    step = 1e-4

    def corner(path) -> float:
        before, at, after = path([0.5 - step, 0.5, 0.5 + step])[:, 0]
        cosine = torch.nn.functional.cosine_similarity(at - before, after - at, dim=0)
        return math.degrees(math.acos(min(1.0, float(cosine))))

    def joined(t):
        return torch.stack([slerp(*(keys[:2] if u <= 0.5 else keys[1:]), 2 * u % 1 if u != 0.5 else 1.0)[0] for u in t])

    assert corner(joined) > 60
    assert corner(lambda t: spline(keys, t)) < 1


def test_two_keyframes_are_slerp():
    a, b = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(spline(torch.stack([a, b]), [0.3, 0.8]), slerp(a, b, [0.3, 0.8]))


@pytest.mark.parametrize("axis", ["clip", "frame"])
def test_a_batch_of_positions_is_squad_at_each(axis):
    """Shoemake's formula written out with `slerp`, keyframe by keyframe; one of them is zero."""
    keys = torch.randn(4, 2, 3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    keys[3, 1] = 0
    rows, restore = as_rows(keys, axis)
    inner = restore(_inner_points(rows))

    def squad(position: float) -> torch.Tensor:
        i = min(int(3 * position), 2)
        u = 3 * position - i
        outside, inside = (slerp(points[i], points[i + 1], u, axis=axis)[0] for points in (keys, inner))
        return slerp(outside, inside, 2 * u * (1 - u), axis=axis)[0]

    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    expected = torch.stack([squad(float(u)) for u in t])
    torch.testing.assert_close(spline(keys, t, axis=axis), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("keys", "t", "match"),
    [
        (torch.ones(1, 2, 3), 0.5, "two keyframes"),
        (torch.ones(2, 3), 0.5, "two keyframes"),
        ([torch.ones(1, 3)] * 2, 0.5, "one tensor of two keyframes .* got a list"),
        (torch.ones(2, 1, 3), 1.5, r"lie in \[0, 1\]"),
        (torch.ones(2, 1, 3), [], "at least one"),
        (torch.ones(2, 1, 3), float("nan"), "finite"),
        (torch.full((2, 1, 3), torch.nan), 0.5, "points must be finite, got 6 NaN or infinite values of 6"),
        (torch.ones(2, 0, 3), 0.5, "there are no points"),
        (torch.ones(2, 1, 3).long(), 0.5, "floating point"),
    ],
)
def test_bad_paths_are_refused(keys, t, match):
    with pytest.raises(ValueError, match=match):
        spline(keys, t)
