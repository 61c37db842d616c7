"""Edits: codes moved along directions."""

import numpy as np
import pytest
import torch

from latentlab.directions import Contrastive, Direction, Effect, MeanDifference, Normal, SVMNormal, edit
from latentlab.directions.mask import above, changed, fit_mask, profile_weights

LIGHT = Direction("light", np.array([0.6, 0.8, 0.0]), scale=2.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_strength_counts_standard_deviations(dtype):
    codes = torch.zeros(2, 3, dtype=dtype)
    moved = edit(codes, LIGHT, 2.0)
    torch.testing.assert_close(moved, torch.tensor([[3.0, 4.0, 0.0]] * 2, dtype=dtype))
    assert codes.abs().max() == 0


def test_no_strength_is_no_edit_and_strengths_add():
    codes = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(edit(codes, LIGHT, 0.0), codes)
    torch.testing.assert_close(edit(edit(codes, LIGHT, 3.0), LIGHT, -1.0), edit(codes, LIGHT, 2.0))


def test_one_unit_along_a_found_direction_is_the_spread_of_the_codes():
    rng = np.random.default_rng(0)
    light = rng.uniform(size=(300, 1))
    codes = torch.from_numpy(light @ np.array([[4.0, 1.0, 0.0]]) + 0.1 * rng.standard_normal((300, 3)))
    found = Effect(names=["light"]).fit(codes, light)["light"]
    along = (edit(codes, found, 1.0) - codes) @ torch.from_numpy(found.vector)
    torch.testing.assert_close(along, torch.full((300,), float((codes.numpy() @ found.vector).std())).double())


def test_a_direction_of_another_space_is_an_error():
    with pytest.raises(ValueError, match=r"'light' has 3 dims, codes have shape \(2, 4\); find the direction in"):
        edit(torch.zeros(2, 4), LIGHT, 1.0)
    with pytest.raises(ValueError, match=r"codes have shape \(3,\)"):
        edit(torch.zeros(3), LIGHT, 1.0)


@pytest.mark.parametrize("strength", [float("nan"), float("inf")])
def test_the_strength_must_be_finite(strength):
    with pytest.raises(ValueError, match=f"strength must be finite, got {strength}"):
        edit(torch.zeros(1, 3), LIGHT, strength)


def test_what_is_no_code_direction_or_strength_is_an_error():
    with pytest.raises(ValueError, match=r"codes are a tensor or an array \(sample, dim\) of floating.*, got list"):
        edit([[0.0, 0.0, 0.0]], LIGHT, 1.0)
    with pytest.raises(ValueError, match=r"a direction is what a finder gives.*, got str"):
        edit(torch.zeros(1, 3), "light", 1.0)
    with pytest.raises(ValueError, match="strength is one number or one for each code, got 'much'"):
        edit(torch.zeros(1, 3), LIGHT, "much")


def square_code() -> tuple[torch.Tensor, Direction, tuple[int, ...]]:
    """Two channels, four frames of 2 x 2, and a direction that moves all alike."""
    shape = (2, 4, 2, 2)
    return torch.zeros(3, 32), Direction("all", np.full(32, 32**-0.5), scale=32**0.5), shape


@pytest.mark.parametrize(
    ("profile", "each"),
    [("constant", [1, 1, 1, 1]), ("ramp", [0, 1 / 3, 2 / 3, 1]), ("pulse", [0, 0.75, 0.75, 0]), ([1, 0, -2, 0.5],) * 2],
)
def test_a_profile_says_how_far_each_frame_moves(profile, each):
    codes, direction, shape = square_code()
    moved = edit(codes, direction, 2.0, profile=profile, shape=shape).view(3, *shape)
    expected = 2 * torch.tensor(each, dtype=torch.float32).view(1, 1, 4, 1, 1).expand(3, *shape)
    torch.testing.assert_close(moved, expected)


def test_a_mask_moves_only_what_it_covers_at_the_size_of_the_clip():
    codes, direction, shape = square_code()
    mask = torch.zeros(3, 1, 8, 16, 16)
    mask[0, :, :4, :, :8] = 1  # the first clip: left half, first half
    mask[1, :, :, :4] = 1  # the second: a quarter of the rows, so half of the upper codes
    moved = edit(codes, direction, 1.0, mask=mask, shape=shape).view(3, *shape)
    expected = torch.zeros(3, *shape)
    expected[0, :, :2, :, 0] = 1
    expected[1, :, :, 0] = 0.5
    torch.testing.assert_close(moved, expected)


def test_each_sample_may_have_its_own_strength():
    codes = torch.zeros(3, 3)
    moved = edit(codes, LIGHT, [0.0, 1.0, -2.0])
    torch.testing.assert_close(moved, torch.tensor([[0.0], [1.0], [-2.0]]) * torch.tensor([1.5, 2.0, 0.0]))


def test_a_preserved_normal_reads_the_same_after_the_edit():
    rng = np.random.default_rng(0)
    normals = [Normal(f"n{i}", v / np.linalg.norm(v)) for i, v in enumerate(rng.standard_normal((3, 32)))]
    normals.append(normals[0])  # a repeated one does no harm
    codes, direction, shape = square_code()
    codes = torch.from_numpy(rng.standard_normal((3, 32)))
    mask = torch.zeros(1, 1, 4, 2, 2)
    mask[:, :, 1:, 0] = 1
    for options in ({}, {"profile": "ramp", "mask": mask, "shape": shape}):
        moved = edit(codes, direction, 1.5, preserve=normals, **options) - codes
        for one in normals:
            assert (moved @ torch.from_numpy(one.vector)).abs().max() < 1e-12
        free = edit(codes, direction, 1.5, **options) - codes
        assert (moved * free).sum(1).min() > 0.3 * (free * free).sum(1).max()
    assert moved.view(3, *shape)[:, :, 0].abs().max() == 0
    assert moved.view(3, *shape)[:, :, :, 1].abs().max() == 0


def slanted(samples: int = 3000):
    """Two correlated factors whose effects are slanted too, and codes of 32 dims with a little noise."""
    rng = np.random.default_rng(0)
    factors = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], samples)
    light, other = np.linalg.qr(rng.standard_normal((32, 2)))[0].T
    effects = np.stack([2 * light, 0.8 * light + 0.6 * other])
    return factors @ effects + 0.1 * rng.standard_normal((samples, 32)), factors, effects


def size_moved(moves: torch.Tensor, effects: np.ndarray) -> float:
    """How far size moves, by what truly reads it."""
    return float(abs(moves.numpy() @ np.linalg.pinv(effects)[:, 1]).mean())


def test_preserving_a_factor_keeps_it_where_a_mask_or_another_finder_would_move_it():
    codes, factors, effects = slanted()
    found = Effect(names=["light", "size"]).fit(codes, factors)
    naive = MeanDifference(names=["light", "size"]).fit(codes, factors)
    machine = SVMNormal(names=["light", "size"], folds=0).fit(codes, factors)
    mask = torch.zeros(1, 1, 4, 2, 2)
    mask[:, :, :2] = 1
    masked = {"mask": mask, "shape": (2, 4, 2, 2)}
    for direction, options in ((found["light"], masked), (naive["light"], {}), (naive["light"], masked)):
        free, held, by_machine = (
            edit(torch.zeros(2, 32).double(), direction, 2.0, preserve=kept, **options)
            for kept in ((), found.normals("size"), machine.normals("size"))
        )
        assert size_moved(free, effects) > 0.05
        assert size_moved(held, effects) < 0.2 * size_moved(free, effects)
        assert abs(by_machine.numpy() @ machine["size"].vector).max() < 1e-9  # what it reads, right or wrong
        assert held.norm() > 0.3 * free.norm()
    # A move of Effect keeps the other factor by itself, so that there is nothing to take off.
    still = edit(torch.zeros(1, 32).double(), found["light"], 2.0)
    torch.testing.assert_close(
        edit(torch.zeros(1, 32).double(), found["light"], 2.0, preserve=found.normals("size")), still
    )


def test_all_directions_of_a_factor_are_kept_by_its_name():
    rng = np.random.default_rng(0)
    factors = np.stack([rng.uniform(0, 360, 200), rng.integers(3, size=200), rng.uniform(size=200)], 1)
    kinds, names = ["circular", "categorical", "continuous"], ["hue", "shape", "light"]
    found = Effect(kinds=kinds, names=names, folds=0).fit(rng.standard_normal((200, 9)), factors)
    assert [n.name for n in found.normals("hue", "light")] == ["hue@0", "hue@90", "light"]
    assert [n.name for n in found.normals("shape")] == ["shape=0", "shape=1", "shape=2"]
    assert [n.name for n in found.normals("hue@90")] == ["hue@90"]
    with pytest.raises(KeyError, match="no direction 'size'; there are hue@0"):
        found.normals("size")


def test_a_direction_is_no_reading():
    with pytest.raises(
        ValueError, match=r"preserve= takes what reads a factor, such as found.normals\('size'\), got Dire"
    ):
        edit(torch.zeros(2, 3), LIGHT, 3.0, preserve=[LIGHT])


def test_preserving_the_direction_itself_leaves_nothing():
    assert edit(torch.zeros(2, 3), LIGHT, 3.0, preserve=[Normal("light", LIGHT.vector)]).abs().max() < 1e-6


def test_arrays_are_edited_as_tensors_are():
    codes = np.random.default_rng(0).standard_normal((4, 3))
    moved = edit(codes, LIGHT, 2.0)
    assert isinstance(moved, np.ndarray)
    np.testing.assert_array_equal(moved, edit(torch.from_numpy(codes), LIGHT, 2.0).numpy())
    with pytest.raises(ValueError, match=r"of floating point numbers, got torch\.int64"):
        edit(torch.zeros(1, 3, dtype=torch.long), LIGHT, 1.0)


def test_a_direction_that_turns_with_the_code_is_turned():
    codes = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    found = Contrastive(features=lambda z: torch.sin(2 * z), count=2, steps=30, rank=2).fit(codes)
    moves = edit(codes, found["contrast0"], 3.0) - codes
    length = np.linalg.norm(moves, axis=1)
    np.testing.assert_allclose(length, 3 * found["contrast0"].scale, rtol=1e-4)
    assert (moves / length[:, None]).std(0).max() > 0.01
    with torch.no_grad():
        own = found.fan_((torch.from_numpy(codes) - found.centre_) / found.spread_)[0].numpy()
    np.testing.assert_allclose(moves / length[:, None], own, atol=1e-5)
    mean = (own.mean(0) / np.linalg.norm(own.mean(0))) @ found.directions_[0]
    assert mean == pytest.approx(1, abs=1e-5)


def test_what_needs_the_shape_of_a_code_says_so():
    codes, direction, shape = square_code()
    with pytest.raises(ValueError, match=r"pass shape=space\.shape"):
        edit(codes, direction, 1.0, profile="ramp")
    with pytest.raises(ValueError, match=r"shape \(2, 4, 2\) is not \(channel, frame, height, width\) of 32"):
        edit(codes, direction, 1.0, profile="ramp", shape=(2, 4, 2))
    with pytest.raises(ValueError, match="no profile 'rampe'; there are constant, ramp, pulse"):
        edit(codes, direction, 1.0, profile="rampe", shape=shape)
    with pytest.raises(ValueError, match="one finite number for each of 4 frames"):
        edit(codes, direction, 1.0, profile=[1.0, 2.0], shape=shape)
    with pytest.raises(ValueError, match="one for each of 3 codes, got 2"):
        edit(codes, direction, 1.0, mask=torch.ones(2, 1, 4, 2, 2), shape=shape)
    with pytest.raises(ValueError, match="one for each of 3 codes"):
        edit(codes, direction, [1.0, 2.0])


def test_the_mask_of_a_change_is_where_the_clips_differ():
    before = torch.zeros(2, 3, 2, 16, 16)
    after = before.clone()
    after[0, :, 1, 4:10, 4:10] = 0.7
    found = changed(before, after, blur=3)
    assert found[0, 0, 1, 5:9, 5:9].min() == 1
    assert found[0, 0, 0].max() == 0
    assert found[0].sum() == 36 - 4  # the corners, which see only four ninths of it, fall below half
    assert found[1].max() == 0


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: fit_mask(torch.ones(4, 4), (1, 2, 2)), r"axes \(batch, 1, frame, height, width\), got shape \(4, 4\)"),
        (lambda: fit_mask(torch.full((1, 1, 1, 2, 2), 2.0), (1, 1, 1)), r"a mask is in \[0, 1\], got values from 2"),
        (lambda: above(-torch.ones(1, 1, 1, 2, 2)), "finite and not negative"),
        (lambda: above(torch.ones(1, 1, 1, 2, 2), threshold=1.0), "below 1, got 1.0"),
        (lambda: changed(torch.zeros(1, 3, 1, 4, 4), torch.zeros(2, 3, 1, 4, 4)), "different shapes"),
    ],
)
def test_masks_that_are_none(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_masks_of_numpy_and_a_single_factor_to_keep():
    codes, push = np.zeros((1, 8), np.float32), Direction("push", np.full(8, 8**-0.5), 1.0)
    mask = np.zeros((1, 1, 2, 2, 2), np.float32)
    mask[..., 0] = 1
    moved = edit(codes, push, 1.0, mask=mask, shape=(1, 2, 2, 2))
    assert (moved.reshape(2, 2, 2)[..., 0] != 0).all()
    assert (moved.reshape(2, 2, 2)[..., 1] == 0).all()
    kept = Normal("size", np.eye(1, 8)[0])
    assert edit(codes, push, 1.0, preserve=kept)[0, 0] == 0


@pytest.mark.parametrize(("profile", "frames"), [("ramp", 1), ("pulse", 1), ("pulse", 2)])
def test_a_profile_that_would_move_no_frame_is_told(profile, frames):
    with pytest.raises(ValueError, match=f"a {profile} over {frames} frames of the codes would move none"):
        profile_weights(profile, frames)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((3, np.ones(2), 1.0), "name says what it changes, such as 'light'; got 3"),
        (("light", None, 1.0), "vector of direction 'light' is numbers"),
        (("light", ["a", "b"], 1.0), "vector of direction 'light' is numbers"),
        (("light", np.ones((2, 2)), 1.0), r"finite numbers \(dim,\), got shape \(2, 2\)"),
        (("light", np.array([1.0, np.nan]), 1.0), "got NaN or infinity"),
        (("light", np.ones(2) * 1j, 1.0), "vector of direction 'light' is numbers"),
        (("light", np.ones(2), "x"), "a finite number from 0 on; got 'x'"),
        (("light", np.ones(2), float("nan")), "a finite number from 0 on; got nan"),
        (("light", np.ones(2), -1.0), "a finite number from 0 on; got -1.0"),
    ],
)
def test_what_is_no_direction_is_told(given, said):
    with pytest.raises(ValueError, match=said):
        Direction(*given)


def test_a_direction_takes_tensors_and_says_what_is_known_of_it():
    vector = torch.tensor([0.6, 0.8], dtype=torch.bfloat16, requires_grad=True)
    assert Direction("light", vector, 1).vector.dtype == np.float32
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((100, 4))
    found = Effect().fit(codes, codes[:, :2])
    assert "p 0.01 (the least of 99 permutations)" in repr(found["factor0"])
    assert repr(found.found_).endswith("p of 99 permutations is at least 0.01")
    assert repr(LIGHT) == "Direction('light', 3 dims, scale 2.5)"


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (torch.full((2, 3), float("nan")), "codes hold 6 NaN or infinite values of 6"),
        (np.array([[0.0, np.inf, 0.0]]), "codes hold 1 NaN or infinite values of 3"),
        (np.zeros((1, 3), int), "of at most 64 bits, got int64"),
        (np.zeros((1, 3), complex), "of at most 64 bits, got complex128"),
    ],
)
def test_codes_that_cannot_be_edited_are_told(codes, said):
    with pytest.raises(ValueError, match=said):
        edit(codes, LIGHT, 1.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_gradients_pass(dtype):
    codes = torch.zeros(2, 3, dtype=dtype, requires_grad=True)
    moved = edit(codes, LIGHT, 2.0)
    assert moved.dtype == dtype
    moved.sum().backward()
    assert codes.grad.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("strength", [None, 1j, "1"])
def test_strengths_that_are_none(strength):
    with pytest.raises(ValueError, match="strength is one number or one for each code"):
        edit(torch.zeros(1, 3), LIGHT, strength)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_changes_of_8_bit_pictures_are_told(kind):
    before = torch.full((1, 3, 1, 8, 8), 200, dtype=kind)
    with pytest.raises(ValueError, match=r"`before` must be"):
        changed(before, before)
