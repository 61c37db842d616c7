"""A folder of videos as a training set: pure in (seed, index), and undisturbed by bad files."""

import os
import warnings
from shutil import copytree

import numpy as np
import pytest
import torch

from latentlab.data.folder import FolderClips
from latentlab.video import from_uint8, write


def numbered(path, num_frames, offset=0):
    """An exact clip whose frame n has the grey level `offset + n` everywhere."""
    levels = (offset + np.arange(num_frames, dtype=np.uint8))[None, :, None, None, None]
    write(path, from_uint8(np.broadcast_to(levels, (1, num_frames, 16, 16, 3)).copy()))
    return path


def levels(video):
    assert (video[0] - video[0, :1, :, :1, :1]).abs().max() < 1e-5
    return ((video[0, 0, :, 0, 0] + 1) * 127.5).round().long().tolist()


@pytest.fixture
def root(tmp_path):
    numbered(tmp_path / "clip2.mkv", 30)
    numbered(tmp_path / "clip10.mkv", 30, offset=50)
    numbered(tmp_path / "more" / "clip.mkv", 30, offset=100)
    return tmp_path


def test_files_come_in_natural_order_from_all_subfolders(root):
    numbered(root / ".hidden.mkv", 3)
    numbered(root / ".cache" / "clip.mkv", 3)
    (root / "notes.txt").write_text("x")
    clips = FolderClips(root, 4, (16, 16))
    assert [str(path.relative_to(root)) for path in clips.paths] == ["clip2.mkv", "clip10.mkv", "more/clip.mkv"]
    assert len(clips) == 3
    assert clips.skipped == {root / "notes.txt": "no video by its suffix '.txt'"}


def test_a_window_is_consecutive_and_fitted(root):
    clip = FolderClips(root, 8, (4, 6)).clip(1, seed=3)
    assert clip.shape == (1, 3, 8, 4, 6)
    found = levels(clip)
    assert found == list(range(found[0], found[0] + 8))
    assert found[0] >= 50


def test_step_widens_the_window(root):
    found = levels(FolderClips(root, 8, (8, 8), step=3).clip(0, seed=1))
    assert found == list(range(found[0], found[0] + 24, 3))


def test_a_clip_depends_on_seed_and_index_alone(root):
    forward, backward = FolderClips(root, 5, (8, 8)), FolderClips(root, 5, (8, 8))
    wanted = [(index, seed) for index in range(3) for seed in range(4)]
    first = [forward.clip(index, seed=seed) for index, seed in wanted]
    last = [backward.clip(index, seed=seed) for index, seed in reversed(wanted)][::-1]
    assert all(torch.equal(one, other) for one, other in zip(first, last, strict=True))


def test_windows_begin_anywhere_and_only_where_they_fit(root):
    starts = {levels(FolderClips(root, 26, (8, 8)).clip(0, seed=seed, frames=[0]))[0] for seed in range(60)}
    assert starts == {0, 1, 2, 3, 4}


def test_files_are_not_all_cut_at_the_same_place(root):
    clips = FolderClips(root, 2, (8, 8))
    places = {
        tuple(levels(clips.clip(index, seed=seed, frames=[0]))[0] - 50 * index for index in range(3))
        for seed in range(4)
    }
    assert any(len(set(place)) > 1 for place in places)


def test_frames_are_the_same_frames_of_the_same_window(root):
    clips = FolderClips(root, 10, (8, 8))
    assert torch.equal(clips.clip(2, seed=5, frames=[7, 0, 7]), clips.clip(2, seed=5)[:, :, [7, 0, 7]])


def test_a_short_video_holds_its_last_frame(tmp_path):
    numbered(tmp_path / "short.mkv", 3)
    assert levels(FolderClips(tmp_path, 6, (8, 8)).clip(0, seed=9)) == [0, 1, 2, 2, 2, 2]


def test_captions_lie_beside(root):
    (root / "clip2.txt").write_text("a grey square\n")
    clips = FolderClips(root, 2, (8, 8))
    assert [clips.caption(index) for index in range(3)] == ["a grey square", "", ""]


def test_a_bad_file_is_replaced_named_once_and_listed(root):
    bad = root / "clip5.mkv"
    bad.write_text("no video at all")
    (root / "clip5.txt").write_text("caption of the bad one")
    (root / "clip10.txt").write_text("caption of the good one")
    clips = FolderClips(root, 4, (8, 8))
    assert len(clips) == 4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clip = clips.clip(1, seed=0)
        clips.clip(1, seed=1)
    assert ["clip5.mkv" in str(warning.message) for warning in caught] == [True]
    assert levels(clip)[0] >= 50  # clip10 stands in
    assert clips.caption(1) == "caption of the good one"
    assert list(clips.skipped) == [bad]
    assert "cannot be opened" in clips.skipped[bad]


def test_the_stand_in_of_the_last_file_is_the_first(root):
    (root / "zzz.mkv").write_bytes(b"")
    clips = FolderClips(root, 2, (8, 8))
    with pytest.warns(UserWarning, match="0 bytes"):
        assert levels(clips.clip(3))[0] < 50


def test_a_damaged_stretch_does_not_make_later_windows_depend_on_earlier_ones(root, monkeypatch):
    from latentlab.data import folder

    read_at = folder.read_at

    def damaged(path, frames, **options):
        if path.name == "clip2.mkv" and min(frames) > 5:
            raise ValueError("none of the frames asked for decodes")
        return read_at(path, frames, **options)

    monkeypatch.setattr(folder, "read_at", damaged)
    clips = FolderClips(root, 2, (8, 8))
    found = [levels(clips.clip(0, seed=seed)) for seed in range(20)]
    assert [0, 0] in found
    assert found == [levels(FolderClips(root, 2, (8, 8)).clip(0, seed=seed)) for seed in range(20)]
    assert max(max(pair) for pair in found) < 50


def test_more_clips_than_files_are_other_windows_of_them(root):
    clips = FolderClips(root, 4, (8, 8), count=60)
    assert len(clips) == 60
    starts = [levels(clips.clip(i, frames=[0]))[0] for i in range(60)]
    assert [start // 50 for start in starts] == [0, 1, 2] * 20
    assert all(len({start for start in starts if start // 50 == file}) > 8 for file in range(3))
    first = [FolderClips(root, 4, (8, 8)).clip(i) for i in range(3)]  # the first of each file is that of a smaller set
    assert all(torch.equal(clips.clip(i), clip) for i, clip in enumerate(first))
    assert clips.windows == 3 * 27
    with pytest.raises(IndexError, match="0 to 59, got 60"):
        clips.clip(60)


def test_a_look_names_all_bad_files_at_once_without_a_warning(root):
    bad = [root / "clip5.mkv", root / "more" / "zero.mp4"]
    for path in bad:
        path.touch()
    clips = FolderClips(root, 4, (8, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips.look()
        assert levels(clips.clip(1))[0] >= 50
    assert list(clips.skipped) == bad
    assert all("0 bytes" in reason for reason in clips.skipped.values())


def test_a_look_at_bad_files_alone_says_so(tmp_path):
    (tmp_path / "clip.mp4").write_text("no video")
    with pytest.raises(ValueError, match=r"none of the 1 videos.*clip\.mp4"):
        FolderClips(tmp_path, 2, (8, 8)).look()


def test_a_set_is_known_by_its_files_and_by_how_clips_are_cut(root, tmp_path_factory):
    known = FolderClips(root, 4, (8, 8)).identity
    moved = tmp_path_factory.mktemp("moved") / "folder"
    copytree(root, moved)
    assert FolderClips(moved, 4, (8, 8), count=90).identity == known
    assert FolderClips(root, 5, (8, 8)).identity != known
    assert FolderClips(root, 4, (8, 8), step=2).identity != known
    (moved / "clip2.mkv").rename(moved / "clip3.mkv")
    assert FolderClips(moved, 4, (8, 8)).identity != known


def test_links_lead_nowhere_outside(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    numbered(outside / "secret.mkv", 4)
    os.symlink(outside / "secret.mkv", root / "link.mkv")
    os.symlink(outside, root / "linked")
    os.symlink(root, root / "loop")
    os.symlink(root / "gone.mkv", root / "broken.mkv")
    clips = FolderClips(root, 2, (8, 8))
    assert len(clips) == 3
    assert {path.name: why for path, why in clips.skipped.items()} == {
        "link.mkv": "a link to a file outside the folder",
        "broken.mkv": "a link to nowhere",
        "linked": "a link to a folder",
        "loop": "a link to a folder",
    }


@pytest.mark.parametrize("suffix", [".MTS", ".m2ts", ".3gp", ".ogv", ".vob", ".y4m"])
def test_every_kind_of_file_that_can_be_read_is_in_the_set(root, suffix):
    numbered(root / "more.mkv", 4).rename(root / f"camera{suffix}")  # the suffix alone counts until it is opened
    clips = FolderClips(root, 4, (8, 8))
    clips.look()
    assert f"camera{suffix}" in [path.name for path in clips.paths]
    assert not clips.skipped


def test_what_is_left_out_is_named_with_the_reason(root):
    for name in ("photo.jpg", "list.csv", "clip2.txt"):
        (root / name).write_text("a caption")
    os.mkfifo(root / "pipe.mp4")
    clips = FolderClips(root, 4, (8, 8))
    assert {path.name: why for path, why in clips.skipped.items()} == {
        "photo.jpg": "no video by its suffix '.jpg'",
        "list.csv": "no video by its suffix '.csv'",
        "pipe.mp4": "no regular file",
    }


def test_notes_of_the_files_are_collected(root):
    clips = FolderClips(root, 2, (8, 8))
    clips.clip(0)
    assert clips.notes == {root / "clip2.mkv": "scaled 16 x 16 to 8 x 8"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_captions_are_read_whatever_editor_saved_them(root, encoding):
    (root / "clip2.txt").write_bytes(" a café at night\r\n".encode(encoding))
    assert FolderClips(root, 2, (8, 8)).caption(0) == "a café at night"


def test_a_caption_in_single_bytes_is_read_with_a_warning(root):
    (root / "clip2.txt").write_bytes("a café at night".encode("latin-1"))
    with pytest.warns(UserWarning, match=r"clip2\.txt is not utf-8.*at byte 5.*cp1252"):
        assert FolderClips(root, 2, (8, 8)).caption(0) == "a café at night"


def test_a_linked_root_is_the_folder_it_points_to(root, tmp_path_factory):
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    os.symlink(root, link)
    assert len(FolderClips(link, 2, (8, 8))) == 3


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        FolderClips(tmp_path / "gone", 2, (8, 8))
    with pytest.raises(ValueError, match="no video, found 0 other files"):
        FolderClips(tmp_path, 2, (8, 8))
    (tmp_path / "clip.mp4").write_text("no video")
    with pytest.raises(NotADirectoryError, match=r"clip\.mp4 is a file"):
        FolderClips(tmp_path / "clip.mp4", 2, (8, 8))
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(ValueError, match=r"none of the 1 videos.*clip\.mp4"),
    ):
        FolderClips(tmp_path, 2, (8, 8)).clip(0)


def test_bad_arguments_are_refused(root):
    for options in ({"num_frames": 0}, {"num_frames": 4, "step": 0}, {"num_frames": 4, "count": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got"):
            FolderClips(root, size=(8, 8), **options)
    with pytest.raises(TypeError, match=r"`num_frames` must be a whole number, got 1.5"):
        FolderClips(root, 1.5, (8, 8))
    clips = FolderClips(root, 4, (8, 8))
    for index in (3, -1):
        with pytest.raises(IndexError, match=f"got {index}"):
            clips.clip(index)
    for frames in ([4], [-1], []):
        with pytest.raises(ValueError, match="frames"):
            clips.clip(0, frames=frames)
    with pytest.raises(ValueError, match="fit"):
        FolderClips(root, 4, (8, 8), fit="squash")
