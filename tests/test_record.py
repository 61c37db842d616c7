"""Records: what made a result, on disk."""

import json
import os
from importlib.metadata import version

import pytest
import torch

from latentlab.record import Record, frame_hash, write_text


def record() -> Record:
    return Record("latentlab generate star", {"steps": 25, "caption": "é"}, 3, "cpu", "ab" * 32, {"psnr": 31.5})


def test_a_record_on_disk_is_json_with_every_field(tmp_path):
    made = record()
    made.save(tmp_path / "deep" / "record.json")
    again = json.loads((tmp_path / "deep" / "record.json").read_text(encoding="utf-8"))
    assert Record(**again) == made
    assert again["settings"] == {"steps": 25, "caption": "é"}


def test_a_record_knows_the_software_and_the_time():
    made = record()
    assert made.versions["torch"] == version("torch")
    assert {"python", "numpy"} <= made.versions.keys()
    assert made.made.endswith("+00:00")


def test_two_records_do_not_share_what_they_hold():
    first, second = record(), Record("x", {}, 0, "cpu", "")
    first.frames["a"] = "1"
    assert second.frames == {}


def test_the_hash_is_of_the_eight_bit_frames():
    video = torch.linspace(-1, 1, 256).view(1, 1, 1, 16, 16).expand(1, 3, 2, 16, 16).clone()
    assert len(frame_hash(video)) == 64
    assert frame_hash(video + 0.3 / 255) == frame_hash(video)  # less than half a level
    assert frame_hash(video.double()) == frame_hash(video)
    changed = video.clone()
    changed[0, 0, 0, 8, 8] += 2 / 255
    assert frame_hash(changed) != frame_hash(video)


def test_the_hash_knows_the_shape_and_clips_what_no_screen_shows():
    video = torch.zeros(1, 3, 2, 4, 4)
    assert frame_hash(video.view(1, 3, 4, 2, 4)) != frame_hash(video)
    assert frame_hash(torch.full((1, 3, 1, 2, 2), 1.5)) == frame_hash(torch.ones(1, 3, 1, 2, 2))


def test_a_write_that_is_cut_off_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_text(path, "old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_text() == "old"
