"""Even spacing: positions, and points of a path there."""

from functools import partial

import pytest
import torch

from latentlab.interpolate import lerp, nlerp, picture_distance, slerp, spline, uniform, walk

LINE = partial(lerp, torch.zeros(2, 3), torch.ones(2, 3))


def euclidean(a, b):
    return (a - b).flatten(1).norm(dim=1)


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
    with pytest.raises(ValueError, match="nothing changes along this path"):
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


def test_the_ends_are_kept_where_nothing_changes_towards_them():
    def path(t):
        return (t[:, None] - 0.4).clamp(0, 0.2)

    t = uniform(path, 5)
    assert t[[0, -1]].tolist() == [0, 1]
    torch.testing.assert_close(path(t).diff(dim=0), torch.full((4, 1), 0.05), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        (lambda t: t[:1, None], r"points at 33 positions, it gave shape \(1, 1\)"),
        (lambda t: t.tolist(), "it gave a list"),
        (lambda t: t[:, None] / 0, "points must be finite"),
    ],
)
def test_what_is_no_path_is_refused(path, match):
    with pytest.raises(ValueError, match=match):
        uniform(path, 5)


@pytest.mark.parametrize(
    ("measure", "match"),
    [
        ({"distance": lambda a, b: euclidean(a, b) * torch.nan}, "finite and not negative, got nan"),
        ({"distance": lambda a, b: -euclidean(a, b)}, "finite and not negative, got -"),
        ({"distance": lambda a, b: euclidean(a, b).sum()}, r"each of 32 pairs, it gave shape \(\)"),
        ({"distance": lambda a, b: euclidean(a, b)[:, None]}, r"it gave shape \(32, 1\)"),
        ({"distance": lambda a, b: None}, "it gave a NoneType"),
        ({"decode": lambda x: x[:3]}, r"one of each of 33 points, it made shape \(3, 3\)"),
        ({"decode": lambda x: None}, "it made a NoneType"),
        ({"decode": lambda x: x}, "needs a `distance` of its own"),
    ],
)
def test_what_measures_nothing_is_refused(measure, match):
    with pytest.raises(ValueError, match=match):
        walk(LINE, 5, space="uniform", **measure)


def test_a_walk_by_the_parameter_is_the_path_at_even_positions():
    a, b = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    for path in (partial(lerp, a, b), partial(nlerp, a, b), partial(slerp, a, b), partial(spline, torch.stack([a, b]))):
        assert torch.equal(walk(path, 5), path(torch.linspace(0, 1, 5)))


def test_each_clip_of_a_batch_is_spaced_by_itself():
    """Two brightnesses that jump, one early and one late; the lengths of the steps are equal along each."""
    jump = torch.tensor([0.2, 0.7])

    def decode(points):
        return torch.sigmoid((points[:, 0] - points[:, 1]) / 0.02)[:, None, None, None, None].expand(-1, 3, 2, 8, 8)

    path = partial(lerp, torch.stack([0 * jump, jump], dim=1), torch.stack([0 * jump + 1, jump], dim=1))
    points = walk(path, 9, space="uniform", decode=decode)
    assert points.shape == (9, 2, 2)
    torch.testing.assert_close(points[[0, -1]], path([0.0, 1.0]))
    for item in (0, 1):
        clips = decode(points[:, item])
        gaps = picture_distance(clips[:-1], clips[1:])
        assert gaps.std() / gaps.mean() < 0.02
    assert points[4, 0, 0] == pytest.approx(0.2, abs=0.01)
    assert points[4, 1, 0] == pytest.approx(0.7, abs=0.01)


def test_a_distance_alone_measures_the_points():
    by = walk(LINE, 3, space="uniform", distance=lambda a, b: (b**2 - a**2).abs().sum(1))
    torch.testing.assert_close(by[:, 0, 0], torch.tensor([0.0, 0.5**0.5, 1.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"space": "uniform"}, r"needs to know what is even: decode=.* or a distance="),
        ({"space": "noise"}, "by 'parameter' or 'uniform', got 'noise'"),
        ({"distance": euclidean}, "measure a path for space='uniform'"),
        ({"decode": euclidean}, "measure a path for space='uniform'"),
        ({"count": 0}, "`count` must be a whole number of at least 2, got 0"),
        ({"count": 1}, "at least 2, got 1"),
        ({"count": True}, "got True"),
        ({"path": partial(lerp, torch.zeros(0, 3), torch.ones(0, 3))}, "there are no points"),
        ({"path": lambda t: t, "space": "uniform", "distance": euclidean}, r"points \(point, batch, ...\), this one"),
        ({"path": partial(slerp, *torch.full((2, 1, 3), torch.nan))}, "points must be finite"),
        ({"path": partial(lerp, *torch.ones(2, 1, 3)), "space": "uniform", "distance": euclidean}, "nothing changes"),
    ],
)
def test_a_walk_that_cannot_be_is_refused(options, match):
    with pytest.raises(ValueError, match=match):
        walk(**{"path": LINE, "count": 5, **options})
