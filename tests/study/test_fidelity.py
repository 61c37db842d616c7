"""Whether a clip is of the kind that a model knows: the verdict, and that every way in speaks it."""

import json
from dataclasses import replace

import pytest
import torch

import latentlab as ll
from latentlab.cli import main
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.study.fidelity import Fidelity, fidelity
from latentlab.study.recipe import Recipe
from latentlab.study.roundtrip import roundtrip
from latentlab.video import write
from latentlab.view.drawing import Drawing
from latentlab.view.setting import ExplorerState


@pytest.fixture
def stripes(tmp_path):
    """A clip of no shape: stripes of one pixel, and its file."""
    clip = torch.ones(1, 3, 16, 64, 64)
    clip[..., ::2] = -1
    write(tmp_path / "stripes.mkv", clip)
    return clip, str(tmp_path / "stripes.mkv")


def test_the_loss_is_that_of_the_autoencoder_clip_by_clip(tiny_generator, clips):
    found = fidelity(tiny_generator, clips)
    error = (tiny_generator.decode(tiny_generator.encode(clips)) - clips).double().square().flatten(1).mean(1)
    assert found.psnr == pytest.approx((10 * torch.log10(4 / error)).tolist(), abs=0.006)


def test_without_a_measured_reference_there_is_no_verdict(tiny_generator, clips):
    found = fidelity(tiny_generator, clips)
    assert not any(found.foreign)
    assert found.warning == ""
    assert str(found).startswith("the autoencoder alone leaves")


def test_the_verdict_is_on_each_clip_and_speaks_of_the_worst():
    found = Fidelity((41.0, 14.9, 30.0), known=36.0)
    assert found.foreign == (False, True, True)
    assert found.warning.startswith("2 of 3 clips are not of the kind that the model knows")
    assert "leaves 14.9 dB" in found.warning
    assert str(Fidelity((41.0,), 36.0)).endswith("as of clips that the model knows (36.0 or more)")


def test_the_shipped_model_knows_its_held_out_clips_also_from_a_file(tmp_path):
    generator = ll.load()
    video, _ = ll.data.moving_shapes(4, HELD_OUT_SEED)
    write(tmp_path / "one.mp4", video[:1])
    read = ll.video.read_fitted(tmp_path / "one.mp4", 16, (64, 64)).video
    assert not any(fidelity(generator, torch.cat([video, read])).foreign)


def test_round_trips_and_edits_carry_the_verdict(stripes):
    generator = ll.load()
    trip = roundtrip(generator, stripes[0], num_steps=1, method="ddim")
    assert trip.fidelity.foreign == (True,)
    assert trip.fidelity.warning in str(trip)
    edited = Recipe("latent", ()).apply(generator, stripes[0])
    assert edited.fidelity == trip.fidelity


def test_the_explorer_edits_what_the_space_gives_back_and_says_what_that_lost(stripes):
    drawing = Drawing(ll.LatentSpace(ll.load()), {}, stripes[0])
    view = drawing.draw(ExplorerState())
    assert torch.equal(view.video, view.unedited)
    assert torch.equal(view.source, stripes[0])
    assert view.figures["PSNR to the unedited clip, dB"] == float("inf")
    assert view.figures["PSNR of the unedited clip to the source, dB"] < 20
    assert "not of the kind that the model knows" in view.warning


@pytest.mark.parametrize("command", ["encode", "invert"])
def test_commands_warn(command, stripes, tmp_path, capsys):
    steps = ["--steps", "1"] if command == "invert" else []
    assert main([command, stripes[1], "--out", str(tmp_path / "a.safetensors"), *steps]) in (0, None)
    assert "WARNING: this clip is not of the kind that the model knows" in capsys.readouterr().out
    record = json.loads((tmp_path / "a.record.json").read_text())
    assert "not of the kind" in record["numbers"]["warning"]


def test_interpolate_says_which_share(stripes, tmp_path, capsys):
    write(tmp_path / "known.mkv", ll.data.moving_shapes(1, seed=0)[0])
    ends = [stripes[1], str(tmp_path / "known.mkv")]
    main(["interpolate", *ends, "--space", "latent", "--points", "2", "--out", str(tmp_path / "path")])
    assert "WARNING: 1 of 2 clips are not of the kind" in capsys.readouterr().out


def test_what_is_kept_is_saved_with_the_generator(tiny_generator, tmp_path):
    tiny_generator.config = replace(tiny_generator.config, known_psnr=31.5)
    tiny_generator.save(tmp_path)
    assert ll.load(tmp_path).config.known_psnr == 31.5
