"""Files are whole or not there, nobody writes through another's link, and what the killed left goes."""

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from latentlab.store import claimed, digest, remove_leftovers, replacing, write_text
from latentlab.tensors import read_tensors, write_tensors
from latentlab.video import write

ROOT = Path(__file__).parents[1]


def python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, **options)


def test_a_digest_is_sha256_of_texts_bytes_arrays_and_files(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    array = np.arange(6.0).reshape(2, 3)
    whole = hashlib.sha256("tä".encode() + b"\0" + array.tobytes() + file.read_bytes()).hexdigest()
    assert digest("tä", b"\0", array, file) == whole
    assert digest("\udcff") == hashlib.sha256(b"\xff").hexdigest()  # a name that is no UTF-8


def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def half() -> None:
        with replacing(path) as partial:
            partial.write_text("new")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        half()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_no_planted_link_is_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("a.json.partial", f"a.json.{os.getpid()}.partial", ".a.json"):
        (tmp_path / name).symlink_to(precious)
    write_text(tmp_path / "a.json", "new")
    write_tensors(tmp_path / "a.json", "key", {}, {"a": torch.zeros(2)})
    assert precious.read_text() == "mine"


def test_a_device_is_no_target(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ValueError, match=str(path)):
            write_text(path, "text")


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_rights_are_those_of_the_users_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.json", "{}")
        write_tensors(tmp_path / "a.safetensors", "key", {}, {"a": torch.zeros(2)})
        write(tmp_path / "a.mp4", torch.zeros(1, 3, 2, 16, 16))
        write(tmp_path / "frames", torch.zeros(1, 3, 2, 16, 16))
    finally:
        os.umask(before)
    rights = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    assert rights.pop("frames") == 0o777 & ~mask
    assert set(rights.values()) == {0o666 & ~mask}, rights


def test_what_killed_writers_left_is_swept_and_what_others_write_is_not(tmp_path):
    code = (
        "import sys, time; from latentlab.store import replacing\n"
        "with replacing(sys.argv[1]) as partial: partial.write_text('half'); print(1, flush=True); time.sleep(60)"
    )
    killed, writing = (python(code, tmp_path / "a.txt", stdout=subprocess.PIPE) for _ in range(2))
    for process in (killed, writing):
        process.stdout.readline()
    killed.kill()
    killed.wait()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".latentlab-mine").mkdir()  # of another kind
    write_text(tmp_path / "b.txt", "new")
    left = {p.name for p in tmp_path.iterdir()} - {"b.txt", ".latentlab-mine"}
    assert [int(name.split("-")[2]) for name in left] == [writing.pid]
    writing.kill()
    writing.wait()


def test_those_of_other_machines_go_after_a_day(tmp_path):
    for name, age in ((".latentlab-00000000-1-fresh", 3600), (".latentlab-00000000-1-stale", 90_000)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".latentlab-00000000-1-fresh"]


def test_a_folder_killed_between_the_two_steps_of_its_swap_comes_back(tmp_path):
    gone = python("pass")
    gone.wait()
    mark = next(iter(_mark_of(tmp_path)))
    older = tmp_path / mark.replace(f"-{os.getpid()}-", f"-{gone.pid}-") / "older" / "frames"
    older.mkdir(parents=True)
    (older / "frame_00000.png").write_bytes(b"old")
    remove_leftovers.cache_clear()
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]
    assert (tmp_path / "frames" / "frame_00000.png").read_bytes() == b"old"


def _mark_of(folder):
    with replacing(folder / "x") as partial:
        partial.touch()
        yield partial.parent.name
    (folder / "x").unlink()


def test_a_folder_in_use_is_named_with_its_process_and_free_when_that_is_killed(tmp_path):
    code = (
        "import sys, time; from latentlab.store import claimed\n"
        "with claimed(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    holder = python(code, tmp_path, stdout=subprocess.PIPE)
    holder.stdout.readline()
    with pytest.raises(BlockingIOError, match=f"{tmp_path} is in use by process {holder.pid}"), claimed(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with claimed(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / ".lock").read_text()
    assert (tmp_path / ".lock").read_text() == ""


def test_whoever_has_a_folder_may_claim_it_again_and_keeps_it(tmp_path):
    other = "import sys; from latentlab.store import claimed\nwith claimed(sys.argv[1]): pass"
    with claimed(tmp_path):
        with claimed(tmp_path / "."):
            pass
        assert python(other, tmp_path, stderr=subprocess.DEVNULL).wait() != 0
    assert python(other, tmp_path).wait() == 0


def test_a_lock_is_not_written_through_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".lock").symlink_to(precious)
    with pytest.raises(OSError), claimed(tmp_path):
        pass
    assert precious.read_text() == "mine"


def test_tensors_on_a_full_disk_are_an_error_with_the_files_name(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError("IoError(Os { code: 28 })")

    path = tmp_path / "a.safetensors"
    monkeypatch.setattr("latentlab.tensors.save_file", full)
    with pytest.raises(OSError, match=r"a\.safetensors could not be written"):
        write_tensors(path, "key", {}, {"a": torch.zeros(2)})
    monkeypatch.undo()
    write_tensors(path, "key", {"b": 1}, {"a": torch.ones(2)})
    assert read_tensors(path, "key", "tensors")[1] == {"b": 1}
