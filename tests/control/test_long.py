"""Clips that go on."""

import pytest
import tiny
import torch

from latentlab.control import extend, stream
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.video import read, write_parts


def clip(frames=4, size=16):
    return torch.rand(1, 3, frames, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("windows", ["keyframes", "average", "shuffled", "pinned"])
@pytest.mark.parametrize(("frames", "by"), [(4, 5), (2, 1), (9, 3)])
def test_the_frames_there_are_stay_as_they_are(generator, windows, frames, by):
    longer = extend(generator, clip(frames), by, "a red star", windows=windows, num_steps=2)
    assert longer.shape == (1, 3, frames + by, 16, 16)
    assert torch.equal(longer[:, :, :frames], clip(frames))


@pytest.mark.parametrize(("frames", "by"), [(4, 5), (2, 1), (9, 3)])
def test_a_known_region_network_goes_on(generator, frames, by):
    network = KnownRegionNetwork(generator.denoiser, 2)
    options = {"num_steps": 2, "guidance": 2.0}
    longer = extend(generator, clip(frames), by, "a red star", network=network, **options)
    assert longer.shape == (1, 3, frames + by, 16, 16)
    assert torch.equal(longer[:, :, :frames], clip(frames))
    pinned = extend(generator, clip(frames), by, "a red star", windows="pinned", **options)
    assert torch.equal(longer, pinned)  # before it is trained it is as windows that are not told
    told = extend(generator, clip(frames), by, "a red star", network=tiny.awake(network), **options)
    assert not torch.allclose(told, pinned, atol=1e-3)


def test_what_was_there_decides_what_comes(generator):
    other = extend(generator, -clip(), 4, "a red star", num_steps=2, guidance=1.0)
    assert not torch.allclose(
        extend(generator, clip(), 4, "a red star", num_steps=2, guidance=1.0)[:, :, 4:], other[:, :, 4:]
    )


def test_a_size_that_is_not_the_models(generator):
    with pytest.raises(ValueError, match="24 x 24"):
        extend(generator, clip(size=24), 4)


def test_an_image_does_not_go_on():
    with pytest.raises(ValueError, match="one frame"):
        extend(tiny.images(), clip(1, 8), 4)


def test_a_stream_is_the_clip_in_parts(generator, tmp_path):
    whole = generator.generate("a red star", seed=2, num_frames=10, num_steps=2)
    parts = list(stream(generator, "a red star", 10, seed=2, num_steps=2))
    assert torch.allclose(torch.cat(parts, 2), whole, atol=1e-5)
    assert write_parts(tmp_path / "long.mkv", iter(parts), fps=8.0) == 10
    assert torch.allclose(read(tmp_path / "long.mkv").video, whole, atol=1.01 / 127.5)


def test_one_clip_is_streamed_at_a_time(generator):
    with pytest.raises(ValueError, match="2 captions"):
        stream(generator, ["a red star", "a blue star"], 8)


@pytest.mark.parametrize(
    ("parts", "name", "said"),
    [
        ([], "a.mp4", "no parts"),
        ([clip(), clip(size=24)], "a.mkv", "different sizes"),
        ([clip()], "a.gif", "a.gif"),
    ],
)
def test_parts_that_make_no_clip_leave_nothing(parts, name, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        write_parts(tmp_path / name, parts)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
