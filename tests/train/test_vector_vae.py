"""A few steps of each objective: files are written, runs go on, results can be loaded, and something is learned."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.generator.vector_vae import VectorVAEConfig, load_vector_vae
from latentlab.train.loop import LoopConfig
from latentlab.train.objectives import OBJECTIVES
from latentlab.train.vector_vae import Learner, VectorVAETraining, draw_pool, train_vector_vae

NETWORK = VectorVAEConfig(dims=3, width=8, hidden=16)


class Squares:
    """A bright square at one of many places, which it leaves to the right."""

    num_frames, size = 4, (16, 16)

    def __len__(self) -> int:
        return 32

    def clip(self, index, *, seed=0, frames=None):
        rng = np.random.default_rng(index)
        row, column = rng.integers(10, size=2)
        video = torch.full((1, 3, 4, 16, 16), -1.0)
        for t in range(4):
            video[:, :, t, row : row + 4, column + t : column + t + 4] = 1.0
        return video if frames is None else video[:, :, list(frames)]


def training(objective="beta-vae", count=2, network=NETWORK, rate=1e-3, strength=None) -> VectorVAETraining:
    loop = LoopConfig(steps=count, batch_size=8, learning_rate=rate, warmup=1, save_every=1, sample_every=2, workers=0)
    return VectorVAETraining(objective, strength, frames=64, loop=loop, network=network)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_trains_and_resumes(objective, tmp_path):
    for count in (2, 3):
        trained = train_vector_vae(Squares(), tmp_path, training(objective, count), device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert all(np.isfinite(line["loss"]) for line in lines)
    video = Squares().clip(0, frames=[0])
    torch.testing.assert_close(load_vector_vae(tmp_path).encode(video), trained.encode(video), atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("motion_dims", [0, 2])
def test_clips_train(motion_dims, tmp_path):
    network = VectorVAEConfig(dims=3, motion_dims=motion_dims, num_frames=4, width=8, hidden=16)
    train_vector_vae(Squares(), tmp_path, training("beta-tcvae", network=network), device="cpu")
    vae = load_vector_vae(tmp_path)
    assert vae.encode(Squares().clip(1)).shape == (1, 3 + 4 * motion_dims)
    assert (tmp_path / "samples" / "0000002.png").is_file()


def test_an_autoencoder_learns_to_reconstruct(tmp_path):
    config = training("autoencoder", 80, rate=1e-2)
    train_vector_vae(Squares(), tmp_path, config, device="cpu")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["psnr"] > lines[0]["psnr"] + 4


def test_the_first_loss_is_one_bit_a_pixel():
    video, generator = Squares().clip(0), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    config = VectorVAEConfig(dims=3, num_frames=4, size=(16, 16), width=8, hidden=16)
    loss, figures = Learner(training("autoencoder", network=config))(video, 0.0, generator)
    assert loss.item() == pytest.approx(np.log(2), abs=0.1)
    assert figures["kl"] >= 0


def test_all_beside_the_error_grows_from_zero():
    torch.manual_seed(0)
    network = VectorVAEConfig(dims=3, num_frames=4, size=(16, 16), width=8, hidden=16)
    learner = Learner(training("beta-vae", network=network, strength=1000.0))
    video = Squares().clip(0)
    losses = [learner(video, p, torch.Generator().manual_seed(0))[0].item() for p in (0.0, 0.3, 0.6, 1.0)]
    assert losses[1] - losses[0] == pytest.approx(0.5 * (losses[2] - losses[0]), rel=1e-3)
    assert losses[2] == losses[3] > losses[0]


def test_the_pool_is_a_function_of_the_seed_and_cuts_clips_anywhere():
    pool = draw_pool(Squares(), 16, 2, seed=0)
    assert pool.shape == (16, 3, 2, 16, 16)
    assert torch.equal(pool, draw_pool(Squares(), 16, 2, seed=0))
    assert torch.equal(pool[:4], draw_pool(Squares(), 4, 2, seed=0))
    assert not torch.equal(pool, draw_pool(Squares(), 16, 2, seed=1))
    assert set(pool.unique().tolist()) == {0, 255}


def test_settings_that_cannot_be_are_told(tmp_path):
    with pytest.raises(ValueError, match="beta-tcvae"):
        training("gamma-vae")
    with pytest.raises(ValueError, match="warmup"):
        VectorVAETraining(warmup=-0.1)
    with pytest.raises(ValueError, match="the autoencoder has no strength"):
        VectorVAETraining("autoencoder", strength=3.0)
    for strength in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match=f"strength must be .* got {strength}"):
            VectorVAETraining(strength=strength)
    with pytest.raises(ValueError, match="there are 10 dims, 9 of them rings"):
        VectorVAEConfig(rings=9, moves=True)
    with pytest.raises(ValueError, match="no clip of 16"):
        VectorVAETraining(frames=8, network=VectorVAEConfig(num_frames=16))
    network = VectorVAEConfig(dims=3, num_frames=5, width=8, hidden=16)
    with pytest.raises(ValueError, match="clips of 5 frames"):
        train_vector_vae(Squares(), tmp_path, training(network=network), device="cpu")


def test_a_run_of_few_frames_shows_them(tmp_path):
    train_vector_vae(Squares(), tmp_path, replace(training(), frames=3), device="cpu")
    assert [*(tmp_path / "samples").glob("*.png")]
