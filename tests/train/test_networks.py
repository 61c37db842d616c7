"""A few steps of each network on moving shapes: files are written, runs go on, results can be loaded."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import awake

from latentlab.data.moving.captions import vocabulary
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.reader import Reader, ReaderConfig
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig, put_together
from latentlab.generator.clip_model import ClipConfig, ClipModel
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.load import kind_of, load_autoencoder, load_clip
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.transformer import TransformerConfig
from latentlab.train.autoencoder import AutoencoderTraining, begun, parts, rectangles, train_autoencoder
from latentlab.train.clip_model import ClipTraining, train_clip
from latentlab.train.denoiser import (
    DenoiserTraining,
    begin_from,
    encode_all,
    flicker_of,
    train_denoiser,
)
from latentlab.train.loop import LoopConfig
from latentlab.train.order import epoch_order
from latentlab.train.reader import ReaderTraining, train_reader
from latentlab.weights import read_weights

NETWORK = AutoencoderConfig(latent_channels=2, widths=(8, 8, 8), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1))


class Rendered(MovingShapes):
    """Each clip rendered once, so that the tests are about training."""

    def __init__(self, count: int) -> None:
        super().__init__(count, seed=0)
        self.videos = [super(Rendered, self).clip(i) for i in range(count)]

    def clip(self, index, *, seed=0, frames=None):
        return self.videos[index] if frames is None else self.videos[index][:, :, list(frames)]


@pytest.fixture(scope="module")
def data() -> MovingShapes:
    return Rendered(4)


def steps(count: int) -> LoopConfig:
    return LoopConfig(steps=count, batch_size=4, learning_rate=1e-3, warmup=1, save_every=1, sample_every=2, workers=0)


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(len(lines)))
    return [line["loss"] for line in lines]


def assert_same_weights(network, path: Path) -> None:
    tensors, _ = read_weights(path)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(tensors[name], value.float() if value.is_floating_point() else value)


def test_the_autoencoder_trains_resumes_and_normalises_its_latents(data, tmp_path):
    for count in (2, 3):
        trained = train_autoencoder(data, tmp_path, AutoencoderTraining(steps(count), NETWORK), device="cpu")
    assert len(losses(tmp_path)) == 3
    assert all(map(math.isfinite, losses(tmp_path)))
    assert_same_weights(load_autoencoder(tmp_path), tmp_path / "autoencoder.safetensors")
    assert {p.name for p in (tmp_path / "samples").iterdir()} == {"0000002.png", "0000003.png"}
    latents = trained.encode(torch.cat(data.videos)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(latents.mean(1), torch.zeros(2), atol=0.15, rtol=0)
    torch.testing.assert_close(latents.std(1), torch.ones(2), atol=0.15, rtol=0)


@pytest.mark.slow
def test_an_autoencoder_without_statistics_of_the_frame_learns_objects_more_than_the_rest(tmp_path):
    scenes = MovingShapes(4, seed=0, objects=(0, 1, 2))
    config = AutoencoderTraining(steps(1), replace(NETWORK, norm="pixel"), object_weight=6.0)
    trained = train_autoencoder(scenes, tmp_path, config, device="cpu")
    assert load_autoencoder(tmp_path).config == trained.config == config.network
    # The same step counts differently where objects weigh more, and the figure of the log stays that of all pixels.
    plain = train_autoencoder(scenes, tmp_path / "plain", replace(config, object_weight=1.0), device="cpu")
    logs = [json.loads((out / "log.jsonl").read_text().splitlines()[0]) for out in (tmp_path, tmp_path / "plain")]
    assert logs[0]["psnr"] == pytest.approx(logs[1]["psnr"], abs=1e-4)
    assert logs[0]["loss"] > 1.05 * logs[1]["loss"]
    assert isinstance(plain, Autoencoder)


def test_rectangles_are_whole_and_of_the_share_that_was_asked():
    cells = rectangles(400, 6, 9, 0.7, torch.Generator().manual_seed(0))
    there = cells.any(2).any(1)
    assert 0.6 < there.float().mean() < 0.8
    rows, columns = cells.any(2), cells.any(1)
    assert torch.equal(cells, rows[:, :, None] & columns[:, None, :])  # a product of two spans,
    for span in (rows, columns):  # each in one piece
        assert (span.int().diff(dim=1) == 1).sum(1).max() <= 1
        assert (span.int().diff(dim=1) == -1).sum(1).max() <= 1
    assert (cells[there].sum((1, 2)) > 27).any()
    assert (cells[there].sum((1, 2)) < 4).any()
    assert not rectangles(50, 6, 9, 0.0, torch.Generator()).any()


def test_clips_with_pasted_cells_come_back_as_their_parts_and_their_seam_counts_nothing():
    video = torch.tensor([0.0, 1.0])[:, None, None, None, None].expand(2, 3, 1, 32, 32)
    weight = 2 * video[:, :1] + 1
    pasted = torch.zeros(2, 4, 4, dtype=torch.bool)
    pasted[0, :, 2:] = True  # the right half of the first comes from the clip before it, which is the last
    target, weight = parts(video, weight, pasted)
    assert torch.equal(target[1], video[1])
    assert torch.equal(weight[1], torch.full((1, 1, 32, 32), 3.0))
    assert target[0].mean((0, 1, 2)).tolist() == [0.0] * 16 + [1.0] * 16
    assert weight[0].mean((0, 1, 2)).tolist() == [1.0] * 8 + [0.0] * 16 + [3.0] * 8
    latents = torch.arange(2.0)[:, None, None, None, None].expand(2, 2, 1, 4, 4)
    assert torch.equal(put_together(latents, pasted)[:, 0, 0], pasted.float() + latents[:, 0, 0])


def test_a_decoder_of_another_norm_learns_latents_that_stay(tmp_path):
    scenes = Rendered(4)
    torch.manual_seed(0)
    start = Autoencoder(NETWORK)
    local = begun(start, replace(NETWORK, norm="pixel", encoder_norm="group"))
    config = AutoencoderTraining(steps(2), cutmix=1.0)
    trained = train_autoencoder(scenes, tmp_path, config, start=local, decoder_only=True, device="cpu")
    assert load_autoencoder(tmp_path).config == local.config
    clip = scenes.clip(0)
    torch.testing.assert_close(trained.encode(clip), start.encode(clip), rtol=0, atol=0)
    assert not torch.equal(trained.decode(start.encode(clip)), local.decode(start.encode(clip)))


def test_a_network_goes_on_with_other_norms_and_channels_alone():
    torch.manual_seed(0)
    start = Autoencoder(NETWORK)
    video = torch.rand(2, 3, 1, 16, 16)
    wider = begun(start, replace(NETWORK, latent_channels=5))
    torch.testing.assert_close(wider.posterior(video)[0][:, :2], start.posterior(video)[0])
    torch.testing.assert_close(wider.posterior(video)[1][:, :2], start.posterior(video)[1])
    z = torch.randn(2, 2, 1, 2, 2)
    more = torch.cat([z, torch.zeros(2, 3, 1, 2, 2)], 1)
    torch.testing.assert_close(wider.reconstruct(more), start.reconstruct(z))
    with pytest.raises(ValueError, match=r"with other norms and channels alone: it has .*widths=\(8, 8, 8\)"):
        begun(start, replace(NETWORK, widths=(8, 8, 16)))


def test_objects_cannot_count_more_where_nobody_knows_them(tmp_path):
    with pytest.raises(ValueError, match=r"object_weight=2.0 needs clips of MovingShapes, got object"):
        train_autoencoder(object(), tmp_path, AutoencoderTraining(steps(1), NETWORK, object_weight=2.0), device="cpu")  # type: ignore[arg-type]


def test_clip_trains_and_resumes(data, tmp_path):
    for count in (2, 3):
        trained = train_clip(data, vocabulary(), tmp_path, ClipTraining(steps(count), width=32), device="cpu")
    assert len(losses(tmp_path)) == 3
    assert all(map(math.isfinite, losses(tmp_path)))
    torch.testing.assert_close(load_clip(tmp_path).encode_text(["a red star"]), trained.encode_text(["a red star"]))


def test_a_clip_model_goes_on_and_its_tokens_stay(data, tmp_path):
    before = ClipModel(ClipConfig(tuple(vocabulary()), width=32, embed_dim=32)).eval().requires_grad_(False)
    told, seen = before.tokens(["a red star"])[0], before.encode_video(data.clip(0))
    trained = train_clip(data, vocabulary(), tmp_path, ClipTraining(steps(3)), start=before, device="cpu")
    assert torch.equal(trained.tokens(["a red star"])[0], told)
    assert not torch.allclose(trained.encode_video(data.clip(0)), seen)
    assert torch.equal(before.encode_video(data.clip(0)), seen)  # the one given is left alone
    with pytest.raises(ValueError, match="does not know walrus"):
        train_clip(data, [*vocabulary(), "walrus"], tmp_path / "b", ClipTraining(steps(1)), start=before, device="cpu")


def test_the_reader_trains_and_resumes(data, tmp_path):
    for count in (2, 3):
        trained = train_reader(data, tmp_path, ReaderTraining(steps(count), ReaderConfig(width=32)), device="cpu")
    assert len(losses(tmp_path)) == 3
    assert all(map(math.isfinite, losses(tmp_path)))
    assert isinstance(trained, Reader)
    assert_same_weights(trained, tmp_path / "reader.safetensors")


def test_the_reader_of_scenes_learns_how_many_there_are(tmp_path):
    scenes = MovingShapes(64, 3, objects=(0, 1, 2), changes=0.5, camera=0.3)
    trained = train_reader(scenes, tmp_path, ReaderTraining(steps(2), ReaderConfig(width=32, objects=2)), device="cpu")
    assert all(map(math.isfinite, losses(tmp_path)))  # though absent objects are NaN
    video = torch.cat([scenes.clip(i) for i in range(3)])
    assert set(trained.read_count(video)) <= {0, 1, 2}
    assert len(trained.read_shape(video)) == 3


def test_the_denoiser_trains_and_resumes_on_latents_encoded_once(data, tmp_path):
    torch.manual_seed(0)
    autoencoder = Autoencoder(NETWORK)
    clip = ClipModel(ClipConfig(tuple(vocabulary()), width=32, embed_dim=32, text_layers=1, vision_layers=1))
    network = DenoiserConfig(2, 32, (16, 16), 1, head_width=8, window=1, frame_patch=1)
    seen, written = [], []
    for count in (2, 3):
        trained = train_denoiser(
            data,
            autoencoder,
            clip,
            tmp_path,
            DenoiserTraining(steps(count), network, clips=4),
            device="cpu",
            sample=lambda net, step: seen.append(step),
        )
        (shard,) = (tmp_path / "latents").iterdir()
        written.append(shard.stat().st_mtime_ns)
    assert written[0] == written[1]
    assert seen == [2, 3]
    assert len(losses(tmp_path)) == 3
    assert losses(tmp_path)[0] == pytest.approx(1 + 0.5, abs=1)  # a new network says 0: E|noise - clean|^2
    assert isinstance(trained, Denoiser)
    assert_same_weights(trained, tmp_path / "denoiser.safetensors")
    training, other = DenoiserTraining(steps(1), network, clips=4), tmp_path / "other"
    train_denoiser(data, autoencoder, clip, other, training, device="cpu", encoded=tmp_path / "latents")
    assert not (other / "latents").exists()
    assert shard.stat().st_mtime_ns == written[0]


def test_drawing_sample_grids_does_not_change_the_training(data, tmp_path):
    """To the bit: a grid freezes the networks that it is drawn with, and frozen ones round otherwise."""

    def trained(name: str, sample_every: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        autoencoder = Autoencoder(NETWORK)
        clip = ClipModel(ClipConfig(tuple(vocabulary()), width=32, embed_dim=32, text_layers=1, vision_layers=1))
        network = DenoiserConfig(2, 32, (16, 16), 1, head_width=8, window=1, frame_patch=1)
        config = DenoiserTraining(replace(steps(3), batch_size=3, sample_every=sample_every), network, clips=4)
        start = awake(Denoiser(network))  # a new network does not listen to captions yet

        def draw(net: Denoiser, step: int) -> None:
            NativeGenerator(autoencoder, net, clip, GeneratorConfig(2, 16, 16)).generate("a red star", num_steps=1)

        options = {"device": "cpu", "sample": draw, "start": start}
        train_denoiser(data, autoencoder, clip, tmp_path / name, config, **options)
        return torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"]

    often, once = trained("often", 1), trained("once", 3)
    assert all(torch.equal(often[name], value) for name, value in once.items())


def test_a_denoiser_goes_on_from_another_that_has_more_layers():
    whole = DenoiserConfig(2, 32, (16, 16), 1, head_width=8, frame_patch=1)
    start, model = Denoiser(whole), Denoiser(replace(whole, temporal_attention=False))
    begin_from(model, start)
    given = start.state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, given[name])
    with pytest.raises(ValueError, match="cannot go on"):
        begin_from(Denoiser(replace(whole, widths=(8, 8))), start)


def test_a_denoiser_goes_on_with_latents_of_other_channels_and_another_clip_model():
    whole = DenoiserConfig(2, 32, (16, 16), 1, head_width=8, frame_patch=1)
    start, model = awake(Denoiser(whole)), Denoiser(replace(whole, latent_channels=3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    begin_from(model, start, ("caption",))
    for name, value in model.state_dict().items():
        new = name.split(".")[0] in ("enter", "leave", "spread", "caption")
        torch.testing.assert_close(value, before[name] if new else start.state_dict()[name])


def test_a_penalty_on_flicker_is_the_flicker_of_what_the_network_has_in_mind(data):
    """Nothing for the clip itself, a gradient away from jitter for another."""
    torch.manual_seed(0)
    autoencoder = Autoencoder(NETWORK).requires_grad_(False)
    clean = autoencoder.encode(data.videos[0][:, :, :5])
    jitter = 0.3 * torch.randn(1, 2, 5, 1, 1)
    estimate = (clean + jitter).requires_grad_()
    alone, jittered = flicker_of(autoencoder, clean, clean), flicker_of(autoencoder, clean, estimate)
    assert jittered > alone
    (slope,) = torch.autograd.grad(jittered, estimate)
    assert flicker_of(autoencoder, clean, estimate - 0.1 * slope / slope.norm()) < jittered


def test_encoded_latents_are_those_of_the_autoencoder_and_belong_to_it(data, tmp_path):
    torch.manual_seed(0)
    first, second = (Autoencoder(NETWORK).requires_grad_(False) for _ in range(2))
    latents = encode_all(data, first, 3, tmp_path, seed=0)
    assert latents.shape == (3, 2, 16, 8, 8)
    torch.testing.assert_close(latents[2:].float(), first.encode(data.videos[2]), atol=2e-3, rtol=2e-3)
    assert not torch.equal(encode_all(data, second, 3, tmp_path, seed=0), latents)
    assert len(list(tmp_path.iterdir())) == 2
    others = Rendered(3)
    others.seed, others.videos = 1, data.videos[::-1]
    torch.testing.assert_close(
        encode_all(others, first, 1, tmp_path, seed=0)[0], encode_all(data, first, 4, tmp_path, 0)[3]
    )
    assert len(list(tmp_path.iterdir())) == 4


def test_a_denoiser_run_is_of_its_data_its_autoencoder_and_its_loss(data, tmp_path):
    torch.manual_seed(0)
    autoencoder, other = (Autoencoder(NETWORK) for _ in range(2))
    clip = ClipModel(ClipConfig(tuple(vocabulary()), width=32, embed_dim=32, text_layers=1, vision_layers=1))
    network = DenoiserConfig(2, 32, (16, 16), 1, head_width=8, window=1, frame_patch=1)
    config = DenoiserTraining(steps(1), network, clips=4)

    def go(data=data, autoencoder=autoencoder, **changes):
        train_denoiser(data, autoencoder, clip, tmp_path, replace(config, **changes), device="cpu")

    go()
    go()
    with pytest.raises(ValueError, match=r"\(flicker was 0.0, is 0.5\)"):
        go(flicker=0.5)
    with pytest.raises(ValueError, match=r"\(clips was 4, is 3\)"):
        go(clips=3)
    with pytest.raises(ValueError, match=r"\(autoencoder was \w{16}, is \w{16}\)"):
        go(autoencoder=other)
    with pytest.raises(ValueError, match=r"\(data was Rendered, 4 clips, seed 0, is Rendered, 5 clips, seed 0\)"):
        go(data=Rendered(5))


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (3, 8)])
def test_every_epoch_visits_every_clip_once(count, batch):
    rows = np.concatenate([epoch_order(count, batch, step, seed=0) for step in range(count * 3)])
    epochs = rows[: len(rows) // count * count].reshape(-1, count)
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert (epochs != epochs[0]).any()


def test_an_autoencoder_goes_on_whole_or_with_its_decoder_alone(data, tmp_path):
    given = Autoencoder(NETWORK)
    config = AutoencoderTraining(replace(steps(1), ema=0.0))
    whole = train_autoencoder(data, tmp_path / "whole", config, start=given, device="cpu")
    refined = train_autoencoder(data, tmp_path / "refined", config, start=given, decoder_only=True, device="cpu")

    def moved(part: str, network: Autoencoder) -> float:
        pairs = zip(getattr(network, part).parameters(), getattr(given, part).parameters(), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)

    assert moved("encoder", refined) == 0.0
    for part, network in (("decoder", refined), ("decoder", whole), ("encoder", whole)):
        assert 0.0 < moved(part, network) < 0.01  # one small step from where it was
    with pytest.raises(ValueError, match="decoder_only needs a network to start from"):
        train_autoencoder(data, tmp_path / "none", config, decoder_only=True, device="cpu")


def test_a_transformer_trains_in_the_u_nets_place(data, tmp_path):
    torch.manual_seed(0)
    clip = ClipModel(ClipConfig(tuple(vocabulary()), width=32, embed_dim=32, text_layers=1, vision_layers=1))
    network = TransformerConfig(2, 32, width=24, depth=2, head_width=12, window=1, frame_patch=1)
    config = DenoiserTraining(steps(2), network, clips=4)
    trained = train_denoiser(data, Autoencoder(NETWORK), clip, tmp_path, config, device="cpu")
    assert all(map(math.isfinite, losses(tmp_path)))
    assert_same_weights(trained, tmp_path / "denoiser.safetensors")
    assert kind_of(tmp_path / "denoiser.safetensors") == "transformer"
