"""Training as the command line starts it: on a folder of the user's own videos, of any size that a network allows."""

import json
from pathlib import Path

import pytest
import torch

from latentlab.cli import main
from latentlab.data import DSprites, FolderClips, MovingShapes, moving_shapes
from latentlab.data.moving.scene_captions import scene_captions, scene_vocabulary
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.clip_model import Tokenizer
from latentlab.generator.load import load_autoencoder, load_clip
from latentlab.parsers import parser
from latentlab.train.denoiser import encode_all
from latentlab.train.identity import data_identity
from latentlab.train.runs import SCENE_CONTEXT
from latentlab.train.source import open_data
from latentlab.video import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two videos of 16 and 20 frames with captions, and two files that are none."""
    root = tmp_path_factory.mktemp("videos")
    shapes = moving_shapes(2, seed=5)[0][..., ::2, ::2]
    write(root / "a.mp4", shapes[:1])
    write(root / "b.mp4", torch.cat([shapes[1:], shapes[1:, :, :4]], dim=2))
    (root / "a.txt").write_text("It's a star. Bright!")
    (root / "b.txt").write_text("a well-lit circle, moving")
    (root / "c.mp4").write_text("no video")
    (root / "d.mp4").touch()
    return root


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_a_folder_is_as_many_clips_as_it_has_windows(folder):
    data = open_data("denoiser", str(folder))
    assert (data.num_frames, data.size, len(data)) == (16, (64, 64), 1 + 5)
    assert [path.name for path in data.skipped] == ["c.mp4", "d.mp4"]
    assert len(open_data("autoencoder", str(folder), num_frames=10, size=(16, 24))) == 7 + 11


def test_a_denoiser_learns_other_windows_of_each_file(folder, tmp_path):
    torch.manual_seed(0)
    tiny = Autoencoder(AutoencoderConfig(2, (8, 8, 8), (1, 1, 1), (1, 1, 1)))
    data = open_data("autoencoder", str(folder), num_frames=4, size=(16, 16))
    latents = encode_all(data, tiny, 12, tmp_path, seed=0)
    torch.testing.assert_close(latents[5:6], tiny.encode(data.clip(5)).half(), atol=2e-3, rtol=2e-3)
    assert len({latent.numpy().tobytes() for latent in latents}) > 8  # of 12, from 2 files
    other = open_data("autoencoder", str(folder), num_frames=4, size=(16, 24))
    assert encode_all(other, tiny, 12, tmp_path, seed=0).shape[-1] == 3  # not those of the other size
    assert len(list(tmp_path.iterdir())) == 2


def test_bad_files_are_told_before_training_and_kept_in_the_answer(folder, tmp_path, capsys):
    options = ("--size", "16x24", "--steps", "1", "--batch-size", "2", "--clips", "4", "--json")
    assert run("train", "clip", "--data", str(folder), "--out", str(tmp_path), *options) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert f"skipped 2 files of {folder}: {folder / 'c.mp4'}: " in said.err
    assert [Path(path).name for path in answer["skipped"]] == ["c.mp4", "d.mp4"]
    assert "0 bytes" in answer["skipped"][str(folder / "d.mp4")]
    assert answer["files"] == [str(tmp_path / "clip.safetensors")]
    assert answer["clips"] == 6
    words = load_clip(
        tmp_path
    ).config.vocabulary  # what the tokenizer finds in the captions, whatever their punctuation
    assert words == (",", "a", "bright", "circle", "it", "moving", "s", "star", "well-lit")
    assert run("train", "clip", "--data", str(folder), "--out", str(tmp_path), *options, "--clips", "3") == 2
    assert "clips was 4, is 3" in capsys.readouterr().err


@pytest.mark.slow
def test_an_autoencoder_trains_on_clips_of_any_length_and_size(folder, tmp_path, capsys):
    options = ("--size", "16x24", "--num-frames", "3", "--steps", "1", "--batch-size", "2")
    assert run("train", "autoencoder", "--data", str(folder), "--out", str(tmp_path), *options) == 0
    assert "wrote" in capsys.readouterr().out
    assert run("train", "autoencoder", "--data", str(folder), "--out", str(tmp_path), *options, "--size", "16") == 2
    assert "data was 4 videos" in capsys.readouterr().err


def test_a_local_decoder_for_latents_that_stay(folder, tmp_path, capsys):
    options = ("--data", str(folder), "--size", "16", "--num-frames", "1", "--steps", "1", "--batch-size", "2")
    local = ("--autoencoder", "shipped", "--norm", "pixel", "--cutmix", "0.5")
    assert run("train", "autoencoder", *options, *local, "--out", str(tmp_path / "local")) == 0
    shape = load_autoencoder(tmp_path / "local").config
    assert (shape.norm, shape.encoder_norm) == ("pixel", "group")
    capsys.readouterr()
    assert run("train", "autoencoder", *options, "--autoencoder", "shipped", "--latent-channels", "9") == 2
    assert (
        f"--autoencoder keeps the latents, of {shape.latent_channels} channels; give --start" in capsys.readouterr().err
    )
    assert run("train", "autoencoder", *options, "--cutmix", "1.5") == 2
    assert "cutmix is a share from 0 to 1, got 1.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["denoiser", "--num-frames", "24"], "a multiple of 16 frames, got --num-frames 24"),
        (["denoiser", "--size", "64x72"], "multiples of 16, got --size 64x72"),
        (["autoencoder", "--size", "60"], "multiples of 8, got --size 60x60"),
        (["autoencoder", "--size", "0x64"], "must be HEIGHTxWIDTH, as 64x96, or one side of a square, got 0x64"),
        (["autoencoder", "--size", "64x"], "got 64x"),
        (["autoencoder", "--size", "wide"], "got wide"),
        (["reader"], "only --data moving-shapes and moving-scenes have"),
        (["clip", "--data", "moving-shapes", "--size", "32"], "are for a folder of videos"),
        (["autoencoder", "--data", "dsprites", "--num-frames", "4"], "are for a folder of videos"),
    ],
)
def test_clips_that_a_network_cannot_learn_are_one_clear_line(arguments, said, folder, tmp_path, capsys):
    network, *rest = arguments
    code = run("train", network, "--data", str(folder), "--out", str(tmp_path), *rest)
    error = capsys.readouterr().err.strip()
    assert code == 2
    assert said in error
    assert "\n" not in error


def test_captions_are_needed_to_learn_them(tmp_path, capsys):
    write(tmp_path / "a.mp4", moving_shapes(1, seed=5)[0])
    assert run("train", "clip", "--data", str(tmp_path), "--out", str(tmp_path / "run")) == 2
    assert "write what clip.mp4 shows into clip.txt beside it" in capsys.readouterr().err


def test_a_vector_vae_cuts_its_clips_from_moving_shapes_or_longer_ones(folder):
    assert isinstance(open_data("vector-vae", "moving-shapes", num_frames=4), MovingShapes)
    assert open_data("vector-vae", str(folder), num_frames=4).num_frames == 16
    assert open_data("vector-vae", str(folder), num_frames=18).num_frames == 18


def test_help_teaches_the_order_and_the_folder(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "needs the other two",
        "clip.txt beside clip.mp4",
        "named, counted and left out",
        "--num-frames",
        "HxW",
    ):
        assert part in said


def test_sets_of_clips_are_told_apart(folder):
    sets = [
        MovingShapes(100, seed=0),
        MovingShapes(100, seed=1),
        MovingShapes(90, seed=0),
        MovingShapes(100, seed=0, fixed={"light": 1.0}),
        MovingShapes(100, seed=0, sweep={"light": [0.8, 1.0]}),
        MovingShapes(100, seed=0, correlated={("hue", "size"): 0.5}),
        MovingShapes(100, seed=0, objects=2),
        MovingShapes(100, seed=0, objects=(0, 2)),
        MovingShapes(100, seed=0, changes=0.5),
        MovingShapes(100, seed=0, camera=0.5),
        DSprites(),
        FolderClips(folder, 4, (16, 16)),
        FolderClips(folder, 4, (16, 24)),
    ]
    assert len({data_identity(data) for data in sets}) == len(sets)
    assert data_identity(sets[3]) == data_identity(MovingShapes(100, seed=0, fixed={"light": 1.0}))


def test_captions_of_scenes_fit_into_the_clip_model_s_context():
    data = open_data("clip", "moving-scenes")
    assert isinstance(data, MovingShapes)
    known = scene_vocabulary()
    captions = [text for i in range(60) for text in scene_captions(data.scene(i))]
    assert Tokenizer(known, SCENE_CONTEXT)(captions).shape == (300, SCENE_CONTEXT)
