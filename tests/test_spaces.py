"""Spaces: what `encode` and `decode` owe each other."""

import pytest
import torch

from latentlab.generator.vector_vae import VectorVAE, VectorVAEConfig
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


def test_other_lengths_are_told(clips):
    with pytest.raises(ValueError, match="4 frames, not of 8"):
        VectorSpace(vae_of(num_frames=4), num_frames=8)
    with pytest.raises(ValueError, match="clips of 1 frames"):
        VectorSpace(vae_of()).encode(clips)
