"""`latentlab inpaint`, on a tiny generator in a folder."""

import json

import pytest
import tiny
import torch

from latentlab.cli import main
from latentlab.record import frame_hash
from latentlab.video import from_uint8, read, write

QUICK = ("--steps", "2", "--refine", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny.generator().save(folder / "tiny")
    levels = torch.randint(0, 256, (4, 16, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    write(folder / "clip.mkv", from_uint8(levels.numpy()[None]))
    mask = torch.full((1, 3, 1, 16, 16), -1.0)
    mask[..., :4, :4] = 1
    write(folder / "mask", mask)
    return folder


def run(folder, *more):
    return main(["inpaint", str(folder / "clip.mkv"), "--model", str(folder / "tiny"), *QUICK, *more])


def test_a_lossless_file_is_the_source_outside_to_the_bit(folder, tmp_path, capsys):
    out = tmp_path / "filled.mkv"
    assert run(folder, "--mask", str(folder / "mask"), "--caption", "a star", "--out", str(out), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    before, after = read(folder / "clip.mkv").video, read(out).video
    assert torch.equal(before[..., 10:], after[..., 10:])  # 4 pixels, grown by 4, feathered by 2
    assert torch.equal(before[..., 10:, :], after[..., 10:, :])
    assert not torch.equal(before[..., :8, :8], after[..., :8, :8])
    record = json.loads((tmp_path / "filled.record.json").read_text())
    assert record["frames"]["filled"] == frame_hash(after)
    assert record["settings"]["caption"] == "a star"
    assert told["outside_psnr"] == record["numbers"]["outside_psnr"]


def test_a_box_is_a_mask(folder, tmp_path, capsys):
    out = tmp_path / "filled.mkv"
    assert run(folder, "--mask", "0,0,2,3", "--grow", "0", "--feather", "0", "--out", str(out)) == 0
    changed = (read(folder / "clip.mkv").video != read(out).video).any(1)[0].any(0)
    assert changed[:3, :2].any()
    assert not changed[3:].any()
    assert not changed[:, 2:].any()
    assert "outside: the source itself" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mask", "more", "says"),
    [
        ("0,0,99,3", (), "99"),
        ("0,0,0,3", (), "0,0,0,3"),
        ("nowhere.png", (), "nowhere.png"),
        ("0,0,2,2", ("--caption", "an elephant"), "elephant"),
        ("0,0,2,2", ("--start", "0"), "start"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, capsys, mask, more, says):
    try:
        code = run(folder, "--mask", mask, *more, "--out", str(tmp_path / "a.mkv"))
    except SystemExit as ended:  # what the parser itself refuses
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert says in said[-1]
    assert not (tmp_path / "a.mkv").exists()
