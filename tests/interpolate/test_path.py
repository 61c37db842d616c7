"""Paths through keyframes, and even spacing."""

import math

import pytest
import torch

from latentlab.interpolate import picture_distance, slerp, spline, uniform
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
    ],
)
def test_bad_paths_are_refused(keys, t, match):
    with pytest.raises(ValueError, match=match):
        spline(keys, t)


def test_even_spacing_of_a_path_that_changes_all_at_once():
    """A logistic step of width 0.01 in the middle: evenly spaced positions put nearly all change into one gap."""

    def path(t):
        return torch.sigmoid((t.double() - 0.5) / 0.01)

    def gaps(t):
        return path(t).diff()

    plain, even = gaps(torch.linspace(0, 1, 9)), gaps(uniform(path, 9, distance=lambda a, b: (b - a).abs()))
    assert plain.std() / plain.mean() > 1.5
    assert even.std() / even.mean() < 0.02


def test_a_decoded_path_changes_evenly_to_the_eye():
    """The picture is a brightness that jumps; the points themselves move evenly."""

    def decode(points):
        return torch.sigmoid((points - 0.3) / 0.02).view(-1, 1, 1, 1, 1).expand(-1, 3, 2, 8, 8)

    def path(t):
        return t[:, None]

    t = uniform(path, 9, decode=decode)
    clips = decode(path(t))
    gaps = picture_distance(clips[:-1], clips[1:])
    assert gaps.std() / gaps.mean() < 0.02
    torch.testing.assert_close(uniform(path, 9), torch.linspace(0, 1, 9))


def test_pictures_are_as_far_apart_as_their_blocks():
    """A checkerboard is grey in every block; another light is another by as much."""
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    grey = torch.zeros(1, 3, 2, 8, 8)
    torch.testing.assert_close(picture_distance(grey + checks, grey), torch.zeros(1))
    torch.testing.assert_close(picture_distance(grey + 0.5, grey), torch.tensor([0.5]))
    with pytest.raises(ValueError, match="needs a `distance` of its own"):
        picture_distance(grey[0], grey[0])


def test_a_path_that_does_not_change_is_refused():
    with pytest.raises(ValueError, match="not all zero"):
        uniform(lambda t: 0 * t[:, None], 5)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"count": 2.5}, "`count` must be a whole number of at least 2, got 2.5"),
        ({"count": 1}, "`count`"),
        ({"count": 5, "probes": 2}, "`probes`"),
        ({"count": 5, "rounds": 0}, "`rounds`"),
    ],
)
def test_numbers_of_positions_that_make_no_path_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        uniform(lambda t: t[:, None], **options)
