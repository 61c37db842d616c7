"""Attention to captions that is told where what they name is."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.data import MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.data.moving.said import said_objects
from latentlab.data.moving.scene_captions import scene_vocabulary
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.blocks import Attention
from latentlab.generator.clip_model import ClipConfig, ClipModel
from latentlab.generator.denoiser import Denoiser
from latentlab.networks import DenoiserConfig, TransformerConfig
from latentlab.train import DenoiserTraining, LoopConfig, train_denoiser
from latentlab.train.grounding import attention_maps, grounding_batch, grounding_loss

TWO = MovingShapes(200, seed=3, objects=2)
CODED = AutoencoderConfig(latent_channels=2, widths=(8, 8, 8), encoder_blocks=(1, 1, 1), decoder_blocks=(1, 1, 1))


def test_words_are_of_the_object_that_is_seen_there():
    told = 0
    for index in range(40):
        scene = TWO.scene(index)
        caption = TWO.caption(index, seed=1)
        words = caption.split()
        for one in said_objects(scene, caption, [5.0]):
            told += 1
            assert words[one.words[0]] in SHAPES
            rows, columns = np.nonzero(one.seen[0] > 0.5)
            mine = min(
                scene.objects,
                key=lambda o: np.hypot(*(o.centre(np.array([5.0]))[0] - (columns.mean(), rows.mean()))),
            )
            assert SHAPES[mine.shape] == words[one.words[0]]
    assert told > 40  # most captions tell


@pytest.mark.parametrize(("to", "loss"), [(0.5, math.log(2)), (0.9, -math.log(0.9)), (0.1, -math.log(0.1))])
def test_loss_is_the_cross_entropy_of_whose_words_are_looked_at(to, loss):
    """One head, two cells in a row of 2 x 2, each all of one object; three tokens, of which the first is nobody's."""
    words = torch.tensor([[[False, True, False], [False, False, True]]])
    places = torch.zeros(1, 2, 1, 2, 2)
    places[0, 0, 0, 0, 0] = places[0, 1, 0, 1, 1] = 1
    weights = torch.tensor([[0.5, to / 2, (1 - to) / 2]] * 3 + [[0.5, (1 - to) / 2, to / 2]])
    found = grounding_loss([weights.log()[None, None]], words, places)
    assert float(found) == pytest.approx(loss, abs=1e-6)
    both = torch.cat([weights.log()[None, None], weights.flip(1).log()[None, None]])
    silent = torch.cat([words, torch.zeros_like(words)])
    assert grounding_loss([both], silent, places.repeat(2, 1, 1, 1, 1)).item() == pytest.approx(loss, abs=1e-6)
    assert grounding_loss([both], torch.zeros_like(silent), places.repeat(2, 1, 1, 1, 1)).item() == 0


def test_batch_whose_objects_are_all_hidden_teaches_nothing():
    """Frames in which one object covers another, or both have left, are no reason for NaN."""
    words = torch.tensor([[[False, True, False], [False, False, True]]])
    logits = torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = grounding_loss([logits.log_softmax(-1)], words, torch.zeros(1, 2, 1, 2, 2))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.eq(0).all()


def test_maps_are_the_weights_that_the_layers_use():
    torch.manual_seed(0)
    layer = Attention(32, heads=2, context_width=32)
    torch.nn.init.normal_(layer.out.weight)
    x, context, mask = torch.randn(2, 9, 32), torch.randn(2, 5, 32), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    with attention_maps(torch.nn.ModuleList([layer])) as maps:
        out = layer(x, context=context, mask=mask)
        layer(x)  # to itself
    value = layer.key_value(context).chunk(2, dim=-1)[1].unflatten(-1, (2, 16)).transpose(1, 2)
    again = x + layer.out((maps[0].exp() @ value).transpose(1, 2).flatten(2))
    assert len(maps) == 1
    assert torch.allclose(out, again, atol=1e-5)
    assert not layer._forward_pre_hooks


def test_objects_are_cells_and_tokens_behind_the_start():
    said = said_objects(TWO.scene(0), TWO.caption(0, seed=1), [2.0, 6.0])
    batch = grounding_batch([said, ()], tokens=48, frames=2, side=8)
    assert batch["words"].shape == (2, 2, 48)
    assert not batch["words"][1].any()
    for k, one in enumerate(said):
        assert sorted(batch["words"][0, k].nonzero()[:, 0].tolist()) == sorted(1 + at for at in one.words)
        assert batch["places"][0, k].mean().item() == pytest.approx(one.seen.mean(), rel=1e-5)


def test_a_denoiser_learns_with_it(tmp_path):
    torch.manual_seed(0)
    encoder = Autoencoder(CODED)
    text = ClipModel(ClipConfig(tuple(scene_vocabulary()), 48, embed_dim=32, width=32, vision_layers=1, text_layers=1))
    network = DenoiserConfig(encoder.config.latent_channels, 32, widths=(8, 32), blocks=1, attention=(False, True))
    config = DenoiserTraining(
        LoopConfig(steps=2, batch_size=2, save_every=2, workers=0), network, clips=4, grounding=0.5, caption_dropout=0
    )
    trained = train_denoiser(TWO, encoder, text, tmp_path / "run", config, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert isinstance(trained, Denoiser)
    assert all(row["grounding"] > 0 for row in rows)
    wide = replace(config, network=TransformerConfig(encoder.config.latent_channels, 32, width=32, depth=1))
    with pytest.raises(ValueError, match="U-Net's attention to captions, got TransformerConfig"):
        train_denoiser(TWO, encoder, text, tmp_path / "wide", wide, device="cpu")
