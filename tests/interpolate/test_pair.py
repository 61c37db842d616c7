"""Paths between points: their ends, their norms, their speed."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentlab.interpolate import lerp, nlerp, slerp
from latentlab.interpolate.pair import LARGE

FEW = settings(max_examples=40, deadline=None, database=None)
PATHS = {"lerp": lerp, "slerp": slerp}


def points(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def angle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a, b = (x.double().flatten(1) / x.double().flatten(1).norm(dim=1, keepdim=True) for x in (a, b))
    return 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_both_ends_are_reached(path, dtype, error):
    a, b = points(3, 2, 4, 2, 2, dtype=dtype), 3 * points(3, 2, 4, 2, 2, seed=1, dtype=dtype)
    ends = path(a, b, [0.0, 1.0])
    assert ends.shape == (2, *a.shape)
    assert ends.dtype == dtype
    torch.testing.assert_close(ends[0], a, atol=error, rtol=0)
    torch.testing.assert_close(ends[1], b, atol=error, rtol=0)


def test_halfway_lerp_is_the_mean_and_slerp_keeps_the_norm():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(lerp(a, b, 0.5)[0], torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(slerp(a, b, 0.5)[0], torch.tensor([[2.0, 2.0]]) / math.sqrt(2))


def test_gaussian_noise_stays_as_long_under_slerp_and_shrinks_under_lerp():
    a, b = points(4, 20_000), points(4, 20_000, seed=1)
    ratio = {name: (path(a, b, 0.5)[0].norm(dim=1) / a.norm(dim=1)).mean().item() for name, path in PATHS.items()}
    assert ratio["slerp"] == pytest.approx(1, abs=0.02)
    assert ratio["lerp"] == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_the_norm_goes_linearly():
    a, b = points(5, 7), 4 * points(5, 7, seed=1)
    t = torch.linspace(0, 1, 9)
    expected = torch.lerp(a.norm(dim=1), b.norm(dim=1), t[:, None])
    torch.testing.assert_close(slerp(a, b, t).norm(dim=2), expected)


def test_the_angle_turns_at_constant_speed_in_one_plane():
    a, b = points(4, 6, dtype=torch.float64), 2 * points(4, 6, seed=1, dtype=torch.float64)
    path = slerp(a, b, torch.linspace(0, 1, 11, dtype=torch.float64))
    steps = torch.stack([angle(path[i], path[i + 1]) for i in range(10)])
    torch.testing.assert_close(steps, angle(a, b)[None].expand(10, -1) / 10)
    assert all(torch.linalg.matrix_rank(path[:, i], rtol=1e-8) == 2 for i in range(4))


def test_outside_zero_and_one_the_path_goes_on():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(slerp(a, b, [2.0, -1.0])[:, 0], torch.tensor([[-1.0, 0.0], [0.0, -1.0]]))
    torch.testing.assert_close(lerp(a, b, [2.0, -1.0])[:, 0], torch.tensor([[-1.0, 2.0], [2.0, -1.0]]))


def test_the_frame_axis_gives_each_frame_its_own_angle():
    a, b = points(2, 3, 4, 2, 2), points(2, 3, 4, 2, 2, seed=1)
    by_frame = slerp(a, b, [0.3, 0.8], axis="frame")
    for i in range(2):
        for f in range(4):
            alone = slerp(a[i : i + 1, :, f], b[i : i + 1, :, f], [0.3, 0.8])
            torch.testing.assert_close(by_frame[:, i, :, f], alone[:, 0])
    assert (by_frame - slerp(a, b, [0.3, 0.8])).abs().max() > 1e-3


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_batch_is_as_good_as_a_loop(path):
    a, b, t = points(4, 5), points(4, 5, seed=1), [0.0, 0.2, 1.3]
    whole = path(a, b, t)
    for i in range(4):
        for j in range(3):
            torch.testing.assert_close(whole[j, i], path(a[i : i + 1], b[i : i + 1], t[j])[0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_path_is_the_short_ones_together_and_can_be_differentiated(dtype):
    a, b = points(4, 4, 8, 64, 64, dtype=dtype), points(4, 4, 8, 64, 64, seed=1, dtype=dtype)
    whole = slerp(a, b, [0.0, 0.3, 0.6, 1.0, 1.2])
    assert whole.nbytes > LARGE
    torch.testing.assert_close(whole, torch.cat([slerp(a, b, t) for t in (0.0, 0.3, 0.6, 1.0, 1.2)]))
    at = a.clone().requires_grad_()
    (back,) = torch.autograd.grad(slerp(at, b, [0.0] * 5).sum(), at)
    torch.testing.assert_close(back, torch.full_like(a, 5.0), atol=0.03, rtol=0)
    _, along = torch.func.jvp(lambda x: slerp(x, b, [0.0] * 5), (a,), (b,))
    torch.testing.assert_close(along[0], b, atol=0.03, rtol=0.03)


def test_equal_ends_stay_where_they_are():
    a = points(3, 8)
    torch.testing.assert_close(slerp(a, a.clone(), [0.0, 0.4, 1.0]), a.expand(3, 3, 8))


def test_nearly_equal_ends_are_joined_by_a_straight_line():
    a = points(3, 8, dtype=torch.float64)
    b = a + 1e-7 * points(3, 8, seed=1, dtype=torch.float64)
    torch.testing.assert_close(slerp(a, b, 0.5), lerp(a, b, 0.5), atol=1e-13, rtol=0)


@pytest.mark.parametrize("dim", [2, 3, 8, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opposite_ends_go_round_without_shrinking(dim, dtype):
    a = torch.cat([points(5, dim, dtype=dtype), torch.eye(dim, dtype=dtype)])
    path = slerp(a, -a, torch.linspace(0, 1, 5, dtype=dtype))
    torch.testing.assert_close(path.norm(dim=2), a.norm(dim=1).expand(5, -1))
    torch.testing.assert_close(path[-1], -a, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-6, 1e-8, 1e-12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nearly_opposite_ends_keep_the_norm_and_are_reached(gap, dtype):
    a = points(6, 16, dtype=dtype)
    b = -a + gap * points(6, 16, seed=1, dtype=dtype)
    t = torch.linspace(0, 1, 7, dtype=dtype)
    path = slerp(a, b, t)
    torch.testing.assert_close(
        path.norm(dim=2), torch.lerp(a.norm(dim=1), b.norm(dim=1), t[:, None]), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(path[-1], b, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)


def test_from_and_to_zero_the_line_is_straight():
    zero, b = torch.zeros(2, 4), points(2, 4)
    t = [0.0, 0.25, 1.0]
    torch.testing.assert_close(slerp(zero, b, t), lerp(zero, b, t))
    torch.testing.assert_close(slerp(b, zero, t), lerp(b, zero, t))
    assert slerp(zero, zero, t).abs().max() == 0


reals = st.floats(-3, 3, width=32)


@FEW
@given(
    st.lists(st.tuples(reals, reals, reals), min_size=1, max_size=4),
    st.lists(st.tuples(reals, reals, reals), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_any_path_is_finite_and_no_longer_than_its_ends(a, b, t):
    rows = min(len(a), len(b))
    a, b = (torch.tensor(x[:rows], dtype=torch.float64) for x in (a, b))
    longest = torch.maximum(a.norm(dim=1), b.norm(dim=1))
    for path in PATHS.values():
        at = path(a, b, t)[0]
        assert at.isfinite().all()
        assert (at.norm(dim=1) <= longest * (1 + 1e-9) + 1e-12).all()


@FEW
@given(st.integers(0, 10_000), st.integers(2, 30), st.floats(0, 1))
def test_the_way_back_is_the_way_there(seed, dim, t):
    a, b = points(2, dim, seed=seed, dtype=torch.float64), points(2, dim, seed=seed + 1, dtype=torch.float64)
    for path in PATHS.values():
        torch.testing.assert_close(path(a, b, t), path(b, a, 1 - t), atol=1e-6, rtol=1e-6)


@FEW
@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(0, 1))
def test_slerp_turns_with_the_space(seed, size, t):
    """Rotated and scaled ends give the rotated and scaled path."""
    a, b = points(1, 4, seed=seed, dtype=torch.float64), points(1, 4, seed=seed + 1, dtype=torch.float64)
    turn = size * torch.linalg.qr(points(4, 4, seed=seed + 2, dtype=torch.float64)).Q
    torch.testing.assert_close(slerp(a @ turn, b @ turn, t), slerp(a, b, t) @ turn, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_wrong_input_is_named(path):
    a = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        path(a, torch.zeros(3, 2), 0.5)
    with pytest.raises(ValueError, match=r"floating point, got torch.int64"):
        path(a.long(), a.long(), 0.5)
    for t in ([], float("nan"), [0.0, float("inf")]):
        with pytest.raises(ValueError, match="positions must be finite and at least one"):
            path(a, a, t)
    for bad in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="points must be finite, got 6 NaN or infinite values of 6"):
            path(torch.zeros(2, 3), torch.full((2, 3), bad), 0.5)
    with pytest.raises(ValueError, match=r"one dtype, got torch.float32 and torch.float64"):
        path(torch.zeros(2, 3), torch.zeros(2, 3).double(), 0.5)
    with pytest.raises(ValueError, match=r"there are no points, got shape \(0, 3\)"):
        path(torch.zeros(0, 3), torch.zeros(0, 3), 0.5)
    with pytest.raises(ValueError, match="positions are numbers"):
        path(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([1j]))
    with pytest.raises(ValueError, match="the two ends must be tensors, got list and Tensor"):
        path([0.0], a, 0.5)
    with pytest.raises(ValueError, match="positions are numbers, 0 at the first end and 1 at the last, got 'half'"):
        path(a, a, "half")


@pytest.mark.parametrize("path", [slerp, nlerp])
def test_a_point_without_a_batch_is_named(path):
    with pytest.raises(ValueError, match=r"axes \(batch, ...\), got shape \(3,\); add one"):
        path(torch.zeros(3), torch.ones(3), 0.5)


def test_an_axis_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="axis must be 'clip' or 'frame', got 'time'"):
        slerp(torch.zeros(1, 2), torch.ones(1, 2), 0.5, axis="time")
    with pytest.raises(ValueError, match=r"axis='frame' needs .* got shape \(1, 2\)"):
        slerp(torch.zeros(1, 2), torch.ones(1, 2), 0.5, axis="frame")
