"""The command line on the shipped model, in this process: what it writes, and how it answers bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

import latentlab.commands
from latentlab.cli import main
from latentlab.commands.loading import mask_of, own_size
from latentlab.data import moving_shapes
from latentlab.interpolate import picture_distance
from latentlab.parsers import parser
from latentlab.record import frame_hash
from latentlab.study.edit_space import LABELLED
from latentlab.video import read, write

ROOT = Path(__file__).parents[1]
COMMANDS = (
    *("tour", "generate", "encode", "invert", "interpolate", "edit", "replay", "inpaint"),
    *("flicker", "score", "train"),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "shape.mp4"
    write(path, moving_shapes(1, seed=11)[0])
    return str(path)


def run_json(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([command, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"latentlab {command}" in said
    assert "example" in said
    assert "--out" in said
    assert "--json" in said
    assert "(default: )" not in said


def test_generate_writes_a_clip_and_its_record(tmp_path, capsys):
    out = tmp_path / "star.mp4"
    result = run_json(capsys, "generate", "a red star moving left", "--steps", "2", "--out", str(out))
    assert result["files"] == [str(out)]
    assert read(out).video.shape == (1, 3, 16, 64, 64)
    record = json.loads((tmp_path / "star.record.json").read_text())
    assert record["seed"] == 0
    assert len(record["weights"]) == len(record["frames"]["star.mp4"]) == 64


def test_generate_writes_several_captions_to_a_folder_and_repeats_itself(tmp_path, capsys):
    hashes = []
    for attempt in "ab":
        out = tmp_path / attempt
        run_json(capsys, "generate", "a red star", "a blue circle", "--steps", "2", "--seed", "3", "--out", str(out))
        assert sorted(p.name for p in out.glob("*.mp4")) == ["000.mp4", "001.mp4"]
        hashes.append(json.loads((out / "record.json").read_text())["frames"])
    assert hashes[0] == hashes[1]


def test_encode_and_invert_write_tensors_and_errors(clip, tmp_path, capsys):
    latents = run_json(capsys, "encode", clip, "--out", str(tmp_path / "z.safetensors"))
    assert load_file(tmp_path / "z.safetensors")["latents"].shape == (1, 6, 16, 8, 8)
    assert latents["psnr"] > 30
    trip = run_json(capsys, "invert", clip, "--steps", "4", "--out", str(tmp_path / "n.safetensors"))
    assert (trip["latents_again"], trip["levels"]) == ("not exact", "analysis")
    assert load_file(tmp_path / "n.safetensors")["noise"].shape == (1, 6, 16, 8, 8)
    assert trip["total_psnr"] <= trip["autoencoder_psnr"] + 0.5


@pytest.mark.slow
def test_invert_says_how_far_the_noise_is_from_the_true_encoding(clip, tmp_path, capsys):
    told = ("invert", clip, "--steps", "3", "--estimate", "--out", str(tmp_path / "n.safetensors"))
    trip = run_json(capsys, *told)
    assert trip["estimate_calls"] == 12
    assert 0 < trip["encoding_error"] < 1
    record = json.loads((tmp_path / "n.record.json").read_text())
    assert record["numbers"]["encoding_error"] == trip["encoding_error"]
    assert record["settings"]["levels"] == "analysis"
    assert main([*told, "--levels", "sampling"]) == 0
    said = capsys.readouterr().out
    assert "of the noise's norm from the true encoding, as 12 more calls of the network tell" in said
    assert "latents come back not exact, error" in said
    assert "noise, on levels for sampling ->" in said


def test_interpolate_writes_the_path_and_its_ends_are_the_clips(clip, tmp_path, capsys):
    other = tmp_path / "other.mkv"
    write(other, moving_shapes(1, seed=12)[0])
    out = tmp_path / "path"
    how = ("--space", "latent", "--path", "lerp", "--points", "3")
    run_json(capsys, "interpolate", clip, str(other), *how, "--out", str(out))
    clips = [read(out / f"{i:03d}.mp4").video for i in range(3)]
    last = read(other).video
    assert (clips[2] - last).abs().mean() < 0.05 < (clips[0] - last).abs().mean()


@pytest.mark.slow
def test_a_path_is_spaced_evenly_to_the_eye(clip, tmp_path, capsys):
    other = tmp_path / "other.mkv"
    write(other, moving_shapes(1, seed=12)[0])
    spread = {}
    for spacing in ("parameter", "uniform"):
        out = tmp_path / spacing
        how = ("--space", "latent", "--path", "slerp", "--points", "5", "--spacing", spacing)
        run_json(capsys, "interpolate", clip, str(other), *how, "--out", str(out))
        clips = torch.cat([read(out / f"{i:03d}.mp4").video for i in range(5)])
        gaps = picture_distance(clips[:-1], clips[1:])
        spread[spacing] = float(gaps.std() / gaps.mean())
        assert json.loads((out / "record.json").read_text())["settings"]["spacing"] == spacing
    assert spread["uniform"] < 0.05 < spread["parameter"]


@pytest.mark.slow
def test_edit_makes_a_clip_brighter(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(LABELLED, "latent", 256)  # light is found with few
    out = tmp_path / "bright.mp4"
    result = run_json(capsys, "edit", clip, "--direction", "light", "--strength", "2", "--out", str(out))
    assert result["space"] == "latent"
    assert read(out).video.mean() > read(clip).video.mean() + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("space", ["latent", "h-space"])
def test_an_edit_is_replayed_from_its_recipe(clip, tmp_path, capsys, monkeypatch, space):
    monkeypatch.setitem(LABELLED, space, 4)
    out, again = tmp_path / "moved.mp4", tmp_path / "again.mp4"
    result = run_json(capsys, "edit", clip, "--direction", "light", "--space", space, "--out", str(out))
    assert result["space"] == space
    run_json(capsys, "replay", result["recipe"], clip, "--out", str(again))
    first, second = (json.loads(path.with_suffix(".record.json").read_text())["frames"] for path in (out, again))
    assert first == second
    other = tmp_path / "other.mp4"
    write(other, moving_shapes(1, seed=12)[0])
    assert main(["replay", result["recipe"], str(other), "--out", str(again)]) != 0
    assert "another clip than the recipe was made with" in capsys.readouterr().err


def test_flicker_tells_a_shaking_clip_from_a_still_one(tmp_path, capsys):
    still = torch.zeros(1, 3, 16, 32, 32)
    shaking = still + 0.1 * torch.randn(1, 1, 16, 1, 1, generator=torch.Generator().manual_seed(0))
    for name, video in (("still", still), ("shaking", shaking)):
        write(tmp_path / f"{name}.mkv", video)
    rows = run_json(capsys, "flicker", str(tmp_path / "still.mkv"), str(tmp_path / "shaking.mkv"))
    assert rows[0]["overall"] < 0.1
    assert rows[1]["overall"] > 3


def test_flicker_says_why_there_is_no_number(tmp_path, capsys):
    unrelated = 0.4 * torch.randn(1, 3, 6, 64, 64, generator=torch.Generator().manual_seed(0))
    write(tmp_path / "unrelated.mkv", unrelated.clamp(-1, 1))
    assert main(["flicker", str(tmp_path / "unrelated.mkv")]) == 0
    out = capsys.readouterr().out
    assert "unrelated.mkv: flicker not measured: " in out
    assert "rounding to 8 bits alone reads up to 0.29" in out
    (row,) = run_json(capsys, "flicker", str(tmp_path / "unrelated.mkv"))
    assert row["overall"] is None
    assert "% of the picture can be followed" in row["reason"]


def test_flicker_takes_a_folder_of_images_as_one_clip(tmp_path, capsys):
    video = torch.rand(1, 3, 6, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name in ("clip.mkv", "images"):  # both are exact to 8 bits
        write(tmp_path / name, video)
    file, folder = run_json(capsys, "flicker", str(tmp_path / "clip.mkv"), str(tmp_path / "images"))
    assert file | {"clip": ""} == folder | {"clip": ""}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "a purple dragon"], "purple"),
        (["generate", "a red star", "--steps", "0"], "--steps"),
        (["generate", "a red star", "--guidance", "nan"], "guidance"),
        (["encode", "missing.mp4"], "missing.mp4"),
        (["edit", "missing.mp4", "--direction", "light"], "missing.mp4"),
        (["edit", "missing.mp4", "--to", "hue=blue", "--strength", "3"], "--strength does nothing without --direction"),
        (["flicker", "missing.mp4"], "missing.mp4"),
        (["interpolate", "missing.mp4", "missing.mp4"], "missing.mp4"),
        (["train", "autoencoder", "--data", "no-such-folder"], "no-such-folder"),
        (["train", "autoencoder", "--autoencoder", "a", "--start", "b"], "give one"),
        (["train", "reader", "--steps", "-1"], "--steps: must be 1 or more, got -1"),
        (["train", "reader", "--steps", "1", "--dims", "4"], "unrecognized arguments: --dims 4"),
        (["train", "clip", "--flicker-loss", "1"], "--flicker-loss"),
        (["edit", "a.mp4", "--to", "hue=blue", "--strength", "3"], "--strength does nothing without --direction"),
        (["edit", "a.mp4", "--direction", "light", "--method", "flow"], "--method does nothing with --direction"),
        (["bench", "--compare", "a", "b", "--repeats", "2"], "--repeats does nothing with --compare"),
        (["score", "folder", "--bootstrap", "5"], "--bootstrap is of sets"),
        (["interpolate", "a.mp4", "b.mp4", "--space", "latent", "--steps", "9"], "--steps is of a solver"),
        (["directions", "--steps", "3"], "--steps is of --captions"),
        (["directions", "--clips", "folder", "--labelled", "8"], "--labelled is of moving shapes"),
        (["encode", "a.mp4", "--num-frames", "8"], "--num-frames 8: the shipped model takes clips of"),
        (["interpolate", "a.mp4", "b.mp4", "--out", "file.txt/path"], "file.txt"),
        (["flicker", "."], "latentlab score ."),
        (["flicker", "missing.mp4", "--out", "folder"], "cannot write folder: it is a folder"),
        (["encode", "missing.mp4", "--out", "folder"], "cannot write folder: it is a folder"),
        (["invert", "missing.mp4", "--out", "file.txt/noise.safetensors"], "file.txt is a file, not a folder"),
        (["tour", "--out", "file.txt"], "file.txt is a file, not a folder"),
        (["bench", "inversion", "--out", "file.txt"], "file.txt is a file, not a folder"),
        (["generate", "a red star", "--seed", "-1"], "--seed: must be a whole number from 0 on, got -1"),
        (["train", "denoiser", "--data", "dsprites"], "captions"),
        (["train", "vector-vae", "--objective", "ddpm"], "invalid choice: 'ddpm'"),
        (["train", "denoiser", "--data", "digits", "--objective", "beta-vae"], "invalid choice: 'beta-vae'"),
        (["generate", "a red star", "--model", "no-such-model"], "no-such-model"),
        (["generate", "a red star", "--device", "abacus"], "abacus"),
        (["dance"], "dance"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    (tmp_path / "folder").mkdir()
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    *before, error = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert said in error
    assert error.startswith("latentlab")
    assert not [line for line in before if "latentlab" in line]  # at most a word on what was begun


def test_an_unknown_direction_names_those_there_are(clip, tmp_path, capsys):
    code = main(["edit", clip, "--direction", "charm", "--out", str(tmp_path / "x.mp4")])
    error = capsys.readouterr().err
    assert code == 2
    assert "charm" in error
    assert "light" in error


@pytest.mark.parametrize("data", ["moving-shapes", "dsprites"])
def test_a_vector_vae_trains_for_an_objective(data, tmp_path, capsys):
    small = ["--dims", "4", "--rings", "1", "--moves", "--clips", "4", "--steps", "1", "--batch-size", "2"]
    how = ["--objective", "factor-vae", "--strength", "2", *small]
    result = run_json(capsys, "train", "vector-vae", "--data", data, *how, "--out", str(tmp_path))
    assert result["files"] == [str(tmp_path / "vector_vae.safetensors")]
    assert (tmp_path / "vector_vae.safetensors").stat().st_size < 500_000


def test_a_clip_like_none_of_the_models_own_is_told(tmp_path, capsys, monkeypatch):
    from latentlab.generator.native import NativeGenerator

    monkeypatch.setattr(NativeGenerator, "generate", lambda *_, **__: torch.rand(1, 3, 16, 64, 64) * 2 - 1)
    result = run_json(capsys, "generate", "a red star", "--out", str(tmp_path / "noise.mkv"))
    assert result["warning"].startswith("the clip is like none that the model learned from")


# ------------------------------------------------------------------- what is written is what is measured and recorded


def test_numbers_and_hashes_are_of_the_file_and_records_chain(tmp_path, capsys):
    star = tmp_path / "star.mp4"
    made = run_json(capsys, "generate", "a red star moving left", "--steps", "2", "--out", str(star))
    assert made["flicker"] == [run_json(capsys, "flicker", str(star))[0]["overall"]]
    assert made["file_psnr"][0] > 45
    run_json(capsys, "encode", str(star), "--out", str(tmp_path / "z.safetensors"))
    first, second = (json.loads((tmp_path / f"{name}.record.json").read_text()) for name in ("star", "z"))
    assert first["frames"]["star.mp4"] == second["frames"]["source"] == frame_hash(read(star).video)
    assert first["threads"] == torch.get_num_threads()
    assert first["settings"]["batch_size"] == 16


def test_a_clip_of_one_frame_is_written_and_says_why_it_has_no_flicker(tmp_path, capsys, monkeypatch):
    from latentlab.generator.native import NativeGenerator

    monkeypatch.setattr(NativeGenerator, "generate", lambda *_, **__: torch.zeros(1, 3, 1, 64, 64))
    assert main(["generate", "a red star", "--out", str(tmp_path / "one.mp4")]) == 0
    assert "it takes 3 frames or more" in capsys.readouterr().out
    assert json.loads((tmp_path / "one.record.json").read_text())["numbers"]["flicker"] == [None]


def test_a_caption_that_says_nothing_is_told(tmp_path, capsys):
    assert main(["generate", "", "--steps", "2", "--out", str(tmp_path / "any.mp4")]) == 0
    assert "the caption says nothing" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------------ the door


@pytest.mark.parametrize(
    "arguments",
    [
        ["flicker", "a.mp4", "--device", "banana"],
        ["flicker", "a.mp4", "--seed", "1"],
        ["encode", "a.mp4", "--seed", "1"],
        ["replay", "a", "b.mp4", "--seed", "1"],
        ["bench", "--device", "cpu"],
    ],
)
def test_a_flag_that_would_do_nothing_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert arguments[-2] in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"latentlab {latentlab.__version__}\n"


def test_no_arguments_show_the_help(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["latentlab"])
    assert main() == 2
    assert "generate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("config"), "KeyError: config; --traceback shows where"),
        (KeyError("no direction 'x'; there are y"), "no direction 'x'; there are y"),
        (MemoryError(), "out of memory"),
        (AttributeError("'list' object has no attribute 'get'"), "AttributeError: 'list' object"),
        (SafetensorError("HeaderTooLarge"), "SafetensorError: HeaderTooLarge"),
        (UnpicklingError("invalid load key"), "UnpicklingError: invalid load key"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (RecursionError("maximum depth"), "maximum depth"),
        (OSError(28, "No space left on device", "z.mp4"), "[Errno 28] No space left on device: 'z.mp4'"),
    ],
)
def test_whatever_goes_wrong_is_one_line(error, said, monkeypatch, capsys):
    def fail(**_):
        raise error

    monkeypatch.setitem(latentlab.commands.COMMANDS, "flicker", fail)
    assert main(["flicker", "a.mp4"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"latentlab flicker: {said}")
    assert told.count("\n") == 1
    with pytest.raises(type(error)):
        main(["flicker", "a.mp4", "--traceback"])


def running(*arguments, **options):
    """The command, which may be interrupted even where the tests run in the background of a shell."""
    command = [sys.executable, "-m", "latentlab", *arguments]
    interruptible = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible, **options)


@pytest.mark.parametrize(("number", "code", "said"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_a_signal_while_libraries_load_is_one_line(number, code, said, tmp_path):
    process = running("generate", "a red star", "--out", str(tmp_path / "a.mp4"))
    while process.poll() is None and "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate(timeout=60)[1] == f"latentlab generate: {said}\n"
    assert process.returncode == code


@pytest.mark.slow
def test_an_answer_that_nobody_reads_is_no_error(tmp_path):
    write(tmp_path / "a.mkv", torch.zeros(1, 3, 4, 16, 16))
    for redirected, code in (("| true", 0), (">&-", 0), ("> /dev/full", 2)):
        line = f"set -o pipefail; {sys.executable} -m latentlab flicker {tmp_path}/a.mkv {redirected}"
        done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == code, (redirected, done)
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_a_full_disk_is_told_with_the_files_name(tmp_path):
    write(tmp_path / "a.mkv", moving_shapes(1, seed=11)[0])
    line = f"ulimit -f 4; {sys.executable} -m latentlab encode {tmp_path}/a.mkv --out {tmp_path}/z.safetensors"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{tmp_path}/z.safetensors could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv"]


TRAIN = ("train", "autoencoder", "--batch-size", "2", "--save-every", "1000")


@pytest.mark.slow
def test_a_folder_that_a_run_trains_in_is_refused_to_another(tmp_path):
    out = tmp_path / "run"
    first = running(*TRAIN, "--steps", "100000", "--out", str(out))
    while first.poll() is None and not (out / "log.jsonl").exists():
        time.sleep(0.05)
    second = running(*TRAIN, "--steps", "1", "--out", str(out))
    said = second.communicate(timeout=120)[1]
    assert second.returncode == 2
    assert f"{out} is in use by process {first.pid}" in said
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    first.terminate()
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 143
    assert said.endswith("latentlab train: terminated\n")
    time.sleep(1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
def test_a_run_that_ends_with_all_its_processes_says_one_line(tmp_path):
    run = running(*TRAIN, "--steps", "100000", "--out", str(tmp_path / "run"), start_new_session=True)
    while run.poll() is None and not (tmp_path / "run" / "log.jsonl").exists():
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 143
    assert said.endswith("latentlab train: terminated\n")
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_runs_go_where_out_says_and_by_default_below_runs(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("latentlab.train.runs.RUNS", {"autoencoder": lambda data, folder, **_: [folder / "a"]})
    for given, folder in (((), "runs/autoencoder"), (("--out", "runs"), "runs"), (("--out", "runs/"), "runs")):
        assert run_json(capsys, "train", "autoencoder", *given)["files"] == [f"{folder}/a"]


def test_an_edit_by_a_pipeline_makes_no_more_of_a_clip_than_it_has(tmp_path):
    write(tmp_path / "a.mkv", torch.zeros(1, 3, 5, 16, 24))
    assert own_size(str(tmp_path / "a.mkv")) == (5, 24)


@pytest.mark.parametrize("box", ["1,2,3", "-4,0,8,8", "0,0,0,8", "60,0,8,8", "1,2,3,4,5", "--5,0,8,8"])
def test_a_box_that_is_none_of_the_clip_is_told_as_a_box(box):
    with pytest.raises(ValueError, match=rf"--mask {box} is a box LEFT,TOP,WIDTH,HEIGHT, .* clip of 64 x 48 must hold"):
        mask_of(box, (4, 48, 64))
    assert mask_of("56,40,8,8", (4, 48, 64)).sum() == 64
