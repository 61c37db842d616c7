"""Spaces: what `encode` and `decode` owe each other."""

import pytest
import torch

from latentlab.generator.vector_vae import PERIOD, VectorVAE, VectorVAEConfig
from latentlab.spaces import VectorSpace


def vae_of(**shape) -> VectorVAE:
    torch.manual_seed(0)
    return VectorVAE(VectorVAEConfig(dims=3, size=(16, 16), width=8, hidden=16, **shape))


def test_a_vae_of_frames_codes_clips_frame_by_frame(clips):
    vae = vae_of()
    space = VectorSpace(vae, num_frames=4)
    codes = space.encode(clips)
    assert codes.shape == (3, 12)
    torch.testing.assert_close(codes[1, 6:9], vae.encode(clips[1:2, :, 2:3])[0])
    again = space.decode(codes)
    assert again.shape == clips.shape
    torch.testing.assert_close(again[1:2, :, 2:3], vae.decode(codes[1:2, 6:9]))


def test_a_vae_of_clips_codes_them_whole(clips):
    vae = vae_of(num_frames=4, motion_dims=1)
    space = VectorSpace(vae)
    torch.testing.assert_close(space.encode(clips), vae.encode(clips))
    torch.testing.assert_close(space.decode(space.encode(clips)), vae.decode(vae.encode(clips)))


def test_a_generator_is_told_its_own_space(tiny_generator):
    with pytest.raises(TypeError, match="this is a space of a VectorVAE, got NativeGenerator; LatentSpace takes a gen"):
        VectorSpace(tiny_generator)


def test_dims_of_frames_and_of_motion_have_names():
    frames = VectorSpace(vae_of(), num_frames=4)
    assert frames.shape == (4, 3)
    assert frames.groups("frame")["frame1"] == [3, 4, 5]
    temporal = VectorSpace(vae_of(num_frames=4, motion_dims=2))
    assert temporal.groups("part") == {"static": [0, 1, 2], "motion": [*range(3, 11)]}
    assert temporal.groups("frame")["frame3"] == [9, 10]
    with pytest.raises(ValueError, match="no axis 'part'"):
        frames.groups("part")


@pytest.mark.parametrize(("count", "name"), [(None, "dim0"), (4, "frame0 dim0")])
def test_rings_become_points_on_a_circle(count, name):
    """Both ends of a ring are one place; what is no ring stays as it is."""
    space = VectorSpace(vae_of(rings=1), num_frames=count)
    ends = torch.zeros(2, space.dim)
    ends[:, 0], ends[:, 1] = torch.tensor([-PERIOD / 2, PERIOD / 2]), torch.tensor([1.0, 2.0])
    points, groups = space.unrolled(ends)
    torch.testing.assert_close(points[0, :2], points[1, :2], atol=1e-6, rtol=0)
    assert points[:, 2].tolist() == [1.0, 2.0]
    assert points.shape == (2, 4 * space.pieces)
    assert groups[name] == [0, 1]
    assert [dim for dims in groups.values() for dim in dims] == [*range(4 * space.pieces)]


def test_other_lengths_are_told(clips):
    with pytest.raises(ValueError, match="4 frames, not of 8"):
        VectorSpace(vae_of(num_frames=4), num_frames=8)
    with pytest.raises(ValueError, match="clips of 1 frames"):
        VectorSpace(vae_of()).encode(clips)
