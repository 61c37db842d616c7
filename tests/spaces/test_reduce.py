"""Reductions: down after up changes nothing, the rest is filled in, directions are carried back."""

import numpy as np
import pytest
import torch

from latentlab.directions import Direction
from latentlab.spaces import Blocks, BottleneckSpace, Components, LatentSpace, Places, TimeResidual


@pytest.fixture
def wide(tiny_generator):
    return LatentSpace(tiny_generator)


def reductions(space):
    codes = torch.randn(20, space.dim, generator=torch.Generator().manual_seed(0))
    return {
        "pooled": Blocks(space, {"frame": None, "height": None, "width": None}),
        "frames": Blocks(space, {"height": None, "width": None}),
        "blocks": Blocks(space, {"frame": 2, "width": 2}),
        "still": Blocks(space, {"frame": None}),
        "moving": TimeResidual(space),
        "channel": Places(space, "channel", [1]),
        "ends": Places(space, "frame", [3, 0]),
        "components": Components(space, codes, 5),
    }


NAMES = ["pooled", "frames", "blocks", "still", "moving", "channel", "ends", "components"]


@pytest.mark.parametrize("name", NAMES)
def test_down_undoes_up_and_clips_keep_their_rest(name, wide, clips):
    space = reductions(wide)[name]
    codes = space.encode(clips)
    assert codes.shape == (3, space.dim)
    zero = space.down(torch.zeros(1, wide.dim))
    torch.testing.assert_close(space.down(space.up(codes)), codes + zero, atol=1e-5, rtol=1e-5)
    around = space.around(clips)
    torch.testing.assert_close(around.decode(codes), wide.decode(wide.encode(clips)), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match=r"codes of these clips have shape \(3, .*got \(1, "):
        around.decode(codes[:1])


@pytest.mark.parametrize("name", NAMES)
def test_a_lifted_direction_moves_wide_codes_as_the_small_one_moves_small_ones(name, wide):
    space = reductions(wide)[name]
    rng = np.random.default_rng(0)
    # Only moves within the small space: of the residual, those that change over time.
    vector = (space.down(torch.from_numpy(rng.standard_normal((1, wide.dim)))) - space.down(torch.zeros(1, wide.dim)))[
        0
    ]
    vector = (vector / vector.norm()).double().numpy()
    lifted = space.lift(Direction("light", vector, scale=0.7, p=0.01))
    assert np.linalg.norm(lifted.vector) == pytest.approx(1, abs=1e-6)
    assert lifted.p == 0.01
    codes = torch.randn(1, wide.dim, generator=torch.Generator().manual_seed(1))
    moved = codes + torch.from_numpy(2 * lifted.scale * lifted.vector).float()
    by = space.down(moved) - space.down(codes)
    torch.testing.assert_close(by[0].double().numpy(), 2 * 0.7 * vector, atol=1e-5, rtol=1e-4)


def test_what_reductions_hold(wide, clips):
    latents = wide.unflatten(wide.encode(clips))
    spaces = reductions(wide)
    torch.testing.assert_close(spaces["pooled"].encode(clips), latents.mean((2, 3, 4)))
    torch.testing.assert_close(spaces["frames"].encode(clips), latents.mean((3, 4)).flatten(1))
    torch.testing.assert_close(spaces["channel"].encode(clips), latents[:, 1].flatten(1))
    torch.testing.assert_close(
        spaces["still"].up(spaces["still"].encode(clips)) + spaces["moving"].encode(clips), latents.flatten(1)
    )
    assert spaces["blocks"].shape == (2, 2, 2, 1)
    assert spaces["blocks"].describe()["of"]["space"] == "LatentSpace"


def test_components_are_in_standard_deviations(wide):
    codes = torch.randn(500, 32, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 3, 32) + 5
    space = Components(wide, codes, 4)
    small = space.down(codes)
    torch.testing.assert_close(small.mean(0), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(small.std(0, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    whole = Components(wide, codes, 32)
    assert whole.shape == (32,)
    torch.testing.assert_close(whole.up(whole.down(codes)) + codes.mean(0), codes, atol=1e-3, rtol=0)


@pytest.mark.parametrize("axis", ["piece", "axis1", "level"])
def test_reductions_of_h_space_go_by_the_names_of_its_axes(tiny_generator, clips, axis):
    inner = BottleneckSpace(tiny_generator, num_steps=3, per_level=True)
    codes = inner.unflatten(inner.encode(clips))
    at = inner.axes.index(axis) + 1
    mean, first = Blocks(inner, {axis: None}), Places(inner, axis, [0])
    torch.testing.assert_close(mean.encode(clips), codes.mean(at).flatten(1))
    torch.testing.assert_close(first.encode(clips), codes.select(at, 0).flatten(1))
    moving, here = TimeResidual(inner, axis=axis).around(clips), inner.around(clips)
    torch.testing.assert_close(moving.unedited, here.unedited)


def test_wrong_blocks_places_and_axes_are_told(wide):
    with pytest.raises(ValueError, match="blocks of 3 do not fill the 4 places of axis 'frame'"):
        Blocks(wide, {"frame": 3})
    with pytest.raises(ValueError, match=r"places of axis 'channel' must be different ones of 0 to 1, got \[0, 2\]"):
        Places(wide, "channel", [0, 2])
    with pytest.raises(ValueError, match="LatentSpace has no axis 'level'; there are channel, frame, height, width"):
        Places(wide, "level", [0])
    with pytest.raises(ValueError, match="Components has no axis 'frame'; there are none"):
        TimeResidual(reductions(wide)["components"])
