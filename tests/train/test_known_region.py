"""The known-region network, on tiny ones: off it is the denoiser to the bit, trained it hears what is known."""

import numpy as np
import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.control import KnownRegion, inpaint, keyframes, read_known_region
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.train.known_region import KINDS, KnownRegionTraining, free_of, random_free, train_known_region
from latentlab.train.loop import LoopConfig

SHAPE = (4, 2, 2)


class Data:
    """Clips of one colour each, so that one known frame tells all others."""

    size, num_frames, identity = (16, 16), 4, "colours"

    def __len__(self):
        return 16

    def clip(self, i, *, seed=0):
        colour = torch.rand(3, generator=torch.Generator().manual_seed(i)) * 2 - 1
        return colour.view(1, 3, 1, 1, 1).expand(1, 3, 4, 16, 16).clone()

    def caption(self, i, *, seed=0):
        return "a star"


def told(generator, network, free):
    clean = generator.encode(Data().clip(3))
    return generator.guided(KnownRegion(network, clean, free))


def half():
    free = torch.ones(1, 1, *SHAPE)
    free[:, :, :2] = 0
    return free


def test_before_training_it_is_the_denoiser_to_the_bit(generator):
    noise = generator.noise(2)
    base = generator.sample(noise, "a star", num_steps=2, guidance=2.0)
    for rank in (0, 4):
        network = KnownRegionNetwork(generator.denoiser, rank)
        assert torch.equal(told(generator, network, half()).sample(noise, "a star", num_steps=2, guidance=2.0), base)


def test_what_is_free_does_not_reach_it(generator):
    network = tiny.awake(KnownRegionNetwork(generator.denoiser, 4))
    clean, noise, free = generator.encode(Data().clip(3)), generator.noise(1), half()
    found = []
    for other in (clean, clean + 5 * free, clean + 5 * (1 - free)):
        found.append(generator.guided(KnownRegion(network, other, free)).sample(noise, "a star", num_steps=2))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-3)
    assert not torch.allclose(found[0], generator.sample(noise, "a star", num_steps=2), atol=1e-3)
    after = generator.sample(noise, "a star", num_steps=2)
    assert torch.equal(after, generator.sample(noise, "a star", num_steps=2))  # nothing stays on the network


def test_batches_hear_their_own(generator):
    network = tiny.awake(KnownRegionNetwork(generator.denoiser, 4))
    clean, noise = torch.cat([generator.encode(Data().clip(i)) for i in (1, 2)]), generator.noise(2)
    options = {"num_steps": 2, "guidance": 2.0}
    both = generator.guided(KnownRegion(network, clean, half())).sample(noise, "a star", **options)
    single = generator.guided(KnownRegion(network, clean[1:], half())).sample(noise[1:], "a star", **options)
    torch.testing.assert_close(both[1:], single, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_what_they_are_called(kind):
    for seed in range(20):
        free = free_of(kind, np.random.default_rng(seed), (6, 5, 7))
        assert free.shape == (1, 6, 5, 7)
        assert set(free.unique().tolist()) <= {0.0, 1.0}
        assert free.any()
        by_frame = free[0].flatten(1)
        if kind in ("first", "first and last", "keyframes", "first half"):
            assert (by_frame.amin(1) == by_frame.amax(1)).all()  # whole frames
        if kind == "all":
            assert free.all()
        elif kind != "moving box":
            assert not free.all()
        if kind in ("box", "all but a box", "side"):
            assert (free == free[:, :1]).all()  # still
    assert {tuple(random_free(np.random.default_rng(s), SHAPE).flatten().tolist()) for s in range(30)}.__len__() > 5


def test_training_writes_what_is_read_and_hears_the_known_frame(generator, tmp_path):
    loop = LoopConfig(steps=40, batch_size=8, learning_rate=1e-2, warmup=4, weight_decay=0.0, ema=0.8, workers=0)
    before = {name: p.clone() for name, p in generator.denoiser.named_parameters()}
    losses = []
    config = KnownRegionTraining(loop=loop, rank=4, clips=16)
    trained = train_known_region(generator, Data(), tmp_path, config, tracker=lambda f, step: losses.append(f["loss"]))
    assert all(torch.equal(before[name], p) for name, p in generator.denoiser.named_parameters())
    assert np.mean(losses[-8:]) < 0.9 * np.mean(losses[:8])
    assert trained.enter.abs().max() > 0
    read = read_known_region(tmp_path, generator)
    torch.testing.assert_close(read.enter, trained.enter.half().float())
    found = inpaint(generator, Data().clip(3), torch.ones(16, 16), "a star", network=read, num_steps=2, refine=0)
    assert found.video.isfinite().all()


def test_keyframes_stay(generator):
    first, last = Data().clip(1)[:, :, :1], Data().clip(2)[:, :, :1]
    made = keyframes(generator, "a star", {0: first, 3: last}, num_steps=2, refine=0)
    assert torch.equal(made.video[:, :, :1], first)
    assert torch.equal(made.video[:, :, 3:], last)
    assert not torch.equal(made.video[:, :, 1:2], first)
    for frames in ({}, {4: first}, dict.fromkeys(range(4), first)):
        with pytest.raises(ValueError, match="0 to 3"):
            keyframes(generator, "a star", frames)


def test_a_file_of_another_denoiser_is_refused(generator, tmp_path):
    from latentlab.weights import save_weights

    network = KnownRegionNetwork(generator.denoiser, 2)
    save_weights(tmp_path / "known_region.safetensors", network, {**network.header(), "base": "0" * 64})
    with pytest.raises(ValueError, match="another denoiser"):
        read_known_region(tmp_path, generator)
    with pytest.raises(FileNotFoundError):
        read_known_region(tmp_path / "nothing.safetensors", generator)


def test_the_command_trains_on_moving_shapes(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "known-region", "--steps", "2", "--clips", "4", "--batch-size", "2", "--out", str(out)]) == 0
    file = out / "known_region.safetensors"
    assert file.stat().st_size < 2e6
    assert "known_region" in capsys.readouterr().out
