"""Networks beside the shipped denoiser: found for it and for no other, and used where a call is told nothing else."""

import pytest
import torch

from latentlab.control import Control, inpaint, keyframes, read_control, read_known_region, read_reference
from latentlab.data import MovingShapes, moving_shapes
from latentlab.data.moving.measure import track
from latentlab.generator.load import load
from latentlab.generator.networks.beside import ships

READ = {"known-region": read_known_region, "control": read_control, "reference": read_reference}


@pytest.mark.parametrize("kind", ["known-region", "control"])
def test_none_is_the_network_that_ships(shipped, kind):
    network = READ[kind](None, shipped)
    assert ships(kind, shipped)
    assert network.denoiser is shipped.denoiser
    assert 2 * sum(p.numel() for p in network.parameters()) < 2e6  # bytes, of float16


def test_a_clip_follows_the_mask_that_it_is_given(shipped):
    """One noise and one caption: the object goes where each mask has it, left or right."""
    data = [MovingShapes(1, 5, fixed={"shape": 3, "speed": 0.0, "start_x": x, "start_y": 32.0}) for x in (27.0, 37.0)]
    found = []
    for one in data:
        told = shipped.guided(Control(read_control(None, shipped), {"mask": one.mask(0)}))
        found.append(track(told.generate("a red star on a blue background", seed=1, num_steps=12))[0, :, 0].mean())
    assert found == pytest.approx([27, 37], abs=2)


@pytest.fixture(scope="module")
def shipped():
    return load(device="cpu")


@pytest.mark.parametrize("kind", READ)
def test_for_another_denoiser_none_ships(generator, kind):
    assert not ships(kind, generator)
    with pytest.raises(ValueError, match=f"no {kind} network ships.*latentlab train {kind}"):
        READ[kind](None, generator)


def test_a_filling_uses_the_network_that_ships_unless_told_otherwise(shipped, generator):
    clip, mask = moving_shapes(1, seed=3)[0], torch.zeros(64, 64)
    mask[16:48, 16:48] = 1
    options = {"num_steps": 2, "refine": 0}
    told = inpaint(shipped, clip, mask, "a red star", network=read_known_region(None, shipped), **options)
    assert torch.equal(inpaint(shipped, clip, mask, "a red star", **options).video, told.video)
    assert not torch.equal(inpaint(shipped, clip, mask, "a red star", network=None, **options).video, told.video)
    own = torch.rand(1, 3, 4, 16, 16) * 2 - 1
    known = {0: own[:, :, :1]}
    plain = keyframes(generator, "a star", known, network=None, **options)
    assert torch.equal(keyframes(generator, "a star", known, **options).video, plain.video)


def test_keyframes_that_make_no_clip_are_told(generator):
    image = torch.zeros(1, 3, 1, 16, 16)
    for frames, more, said in (
        ({0: image, 3: torch.zeros(1, 3, 1, 32, 32)}, {}, "of one size, got 16 x 16, 32 x 32"),
        ({0: torch.zeros(1, 3, 2, 16, 16)}, {}, "the image at frame 0"),
        ({0: image[0]}, {}, r"got \(3, 1, 16, 16\)"),
        ([image], {}, "got a list"),
        ({0: image}, {"mask": torch.ones(16, 16)}, "got mask="),
    ):
        with pytest.raises(ValueError, match=said):
            keyframes(generator, "a star", frames, **more)
