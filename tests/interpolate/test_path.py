"""Paths through keyframes, and even spacing."""

import math

import pytest
import torch

from latentlab.interpolate import slerp, spline, uniform


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


@pytest.mark.parametrize(
    ("keys", "t"), [(torch.ones(1, 2, 3), 0.5), (torch.ones(2, 3), 0.5), (torch.ones(2, 1, 3), 1.5)]
)
def test_bad_paths_are_refused(keys, t):
    with pytest.raises(ValueError, match=r"two keyframes|lie in \[0, 1\]"):
        spline(keys, t)


def test_even_spacing_of_a_path_that_changes_all_at_once():
    """A logistic step of width 0.01 in the middle: evenly spaced positions put nearly all change into one gap."""

    def path(t):
        return torch.sigmoid((t.double() - 0.5) / 0.01)

    def gaps(t):
        return path(t).diff()

    plain, even = gaps(torch.linspace(0, 1, 9)), gaps(uniform(path, lambda a, b: (b - a).abs(), 9))
    assert plain.std() / plain.mean() > 1.5
    assert even.std() / even.mean() < 0.02


def test_a_path_that_does_not_change_is_refused():
    with pytest.raises(ValueError, match="not all zero"):
        uniform(lambda t: 0 * t, lambda a, b: (b - a).abs(), 5)
