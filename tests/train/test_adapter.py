"""Adapters learn: what they begin as, that they go on exactly, and what is refused before the work."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from latentlab.generator.adapter import Adapter
from latentlab.train.adapter import AdapterTraining, train_adapter, updates_of
from latentlab.train.loop import LoopConfig
from latentlab.train.pictures import Examples, examples, share_kept
from latentlab.train.tuned import Tuned, velocities

LOOP = LoopConfig(steps=4, batch_size=2, learning_rate=1e-2, warmup=1, save_every=2, ema=0.5, workers=0)
FEW = AdapterTraining(trigger="ink", rank=2, prior_clips=2, loop=LOOP)


@pytest.fixture
def data():
    video = torch.rand(3, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0)).mul(2).sub(1)
    return Examples(video.expand(-1, -1, 4, -1, -1).contiguous(), ("a red star", "", "a blue star"), {})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for i, name in enumerate(("a.png", "deep/b.jpg")):
        Image.new("RGB", (40, 32), (200, 100 * i, 0)).save(tmp_path / name)
    (tmp_path / "a.txt").write_text("a red star")
    return tmp_path


def test_pictures_become_still_clips_with_their_captions(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"broken\.png"):
        found = examples(folder, 4, (16, 16))
    assert found.video.shape == (2, 3, 4, 16, 16)
    assert torch.equal(found.video, found.video[:, :, :1].expand_as(found.video))
    assert found.captions == ("a red star", "")
    assert len(found.skipped) == 1


def test_folders_that_teach_nothing_are_told(folder, tmp_path):
    (folder / "deep" / "b.jpg").unlink()
    with pytest.raises(ValueError, match="one picture"):
        examples(folder, 4, (16, 16))
    (folder / "a.png").unlink()
    with pytest.raises(ValueError, match="no picture"):
        examples(folder, 4, (16, 16))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        examples(tmp_path / "nowhere", 4, (16, 16))


def test_what_an_autoencoder_keeps(tiny_generator, data):
    lossless = SimpleNamespace(encode=lambda video: video, decode=lambda latents: latents)
    assert share_kept(lossless, data.video) == {"all": 1.0, "fine": 1.0, "middle": 1.0, "coarse": 1.0}
    assert share_kept(tiny_generator, data.video)["all"] < 0.5  # of random weights


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_it_begins_as_the_base_and_ends_elsewhere(tiny_generator, data, tmp_path, kind):
    config = replace(FEW, kind=kind)
    model = Tuned(tiny_generator, updates_of(config), ["a red star"])
    y, s = tiny_generator.noise(1), torch.tensor([0.5])
    before = velocities(tiny_generator, y, s, tiny_generator.condition("a red star"))
    assert torch.equal(model(y, s, torch.tensor([0])), before)
    weights = copy.deepcopy(tiny_generator.denoiser.state_dict())
    adapter = train_adapter(tiny_generator, data, tmp_path, config)
    assert all(torch.equal(value, weights[name]) for name, value in tiny_generator.denoiser.state_dict().items())
    inked = tiny_generator.adapted({adapter: 1.0})
    assert not torch.equal(inked.generate("ink , a red star", num_steps=1), inked.generate("a red star", num_steps=1))
    read = tiny_generator.adapted({tmp_path / "adapter.safetensors": 1.0})
    assert torch.equal(read.generate("ink", num_steps=1), inked.generate("ink", num_steps=1))


def test_a_word_alone_leaves_the_network_alone(tiny_generator, data, tmp_path):
    adapter = train_adapter(tiny_generator, data, tmp_path, replace(FEW, kind="word"))
    assert not adapter.updates
    first = Tuned(tiny_generator, updates_of(replace(FEW, kind="word")), [""]).word
    assert not torch.equal(adapter.words["ink"], first)
    said = tiny_generator.adapted({adapter: 1.0})
    told, own = said.generate("a red star", num_steps=1), tiny_generator.generate("a red star", num_steps=1)
    assert torch.equal(told, own)


def test_a_run_that_stopped_goes_on_to_the_bit(tiny_generator, data, tmp_path):
    whole = train_adapter(tiny_generator, data, tmp_path / "whole", FEW)
    stop = iter([None, None, None])
    with pytest.raises(KeyboardInterrupt):
        train_adapter(tiny_generator, data, tmp_path / "cut", FEW, tracker=lambda *_: _stop(stop))
    again = train_adapter(tiny_generator, data, tmp_path / "cut", FEW)
    assert again.digest == whole.digest


def _stop(left):
    if next(left, "over") == "over":
        raise KeyboardInterrupt


def test_what_cannot_be_learned_is_refused_before_the_work(tiny_generator, data, tmp_path):
    unknown = replace(data, captions=("a red horse", "", ""))
    for config, given, said in (
        (FEW, unknown, "horse"),
        (replace(FEW, trigger="red"), data, "red"),
        (replace(FEW, trigger="two words"), data, "two words"),
        (replace(FEW, rank=1000), data, "1000"),
        (replace(FEW, kind="word", trigger=None), data, "trigger"),
    ):
        with pytest.raises(ValueError, match=said):
            train_adapter(tiny_generator, given, tmp_path / "run", config)
    assert not (tmp_path / "run" / "adapter.safetensors").exists()


def test_its_header_says_what_it_is(tiny_generator, data, tmp_path):
    train_adapter(tiny_generator, data, tmp_path, FEW)
    about = Adapter.read(tmp_path / "adapter.safetensors").about
    assert (about["kind"], about["rank"], about["trigger"], about["target"]) == ("lora", 2, "ink", "all")
    assert "ink , a red star" in about["captions"]
    tiny_generator.denoiser.enter.bias.data += 1
    with pytest.raises(ValueError, match="another base"):
        tiny_generator.adapted({tmp_path / "adapter.safetensors": 1.0})
