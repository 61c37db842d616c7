"""Pictures with a class: files of every kind they come in, and what is said of damaged ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.data import images
from latentlab.data.pictures import FASHION, FASHION_CLASSES, Images, read_idx

PIXELS = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = np.array([0, 1, 2, 2, 1, 0], np.uint8)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, *, zipped: bool = False) -> Path:
    pack = gzip.compress if zipped else bytes
    for part in ("train", "t10k"):
        for what, array in (("images-idx3", PIXELS), ("labels-idx1", LABELS)):
            (folder / f"{part}-{what}-ubyte{'.gz' if zipped else ''}").write_bytes(pack(idx(array)))
    return folder


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_idx_files(tmp_path, zipped):
    found = images(write_idx(tmp_path, zipped=zipped))
    assert len(found) == 6
    assert found.size == (4, 5)
    assert found.names == ("0", "1", "2")
    assert found.caption(3) == "2"
    assert torch.equal(found.clip(2), torch.from_numpy(PIXELS[2]).expand(1, 3, 1, 4, 5) / 127.5 - 1)
    assert found.factors([0, 2])["class"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (lambda raw: raw[:-3], "holds 117"),
        (lambda raw: raw[:10], "no idx file"),
        (lambda raw: b"", "nothing"),
        (lambda raw: b"\x00\x00\x0d" + raw[3:], "00 00 0d"),
        (lambda raw: gzip.compress(raw)[:-9], "cut short"),
    ],
)
def test_a_file_cut_short_is_said(tmp_path, cut, said):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(cut(idx(PIXELS)))
    with pytest.raises(ValueError, match=said) as error:
        read_idx(path)
    assert str(path) in str(error.value)


def test_labels_of_other_pictures_are_refused(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:5]))
    with pytest.raises(ValueError, match="do not belong together"):
        images(tmp_path)
    assert len(images(tmp_path, split="test")) == 6


def write_classes(folder: Path, colour: bool = True) -> Path:
    for name, value in (("cat", 10), ("dog", 200)):
        (folder / name).mkdir()
        for i in range(6):
            Image.new("RGB", (7, 6), (value, i, 0) if colour else (i, i, i)).save(folder / name / f"{i}.png")
    return folder


def test_a_folder_for_each_class(tmp_path):
    train, test = (images(write_classes(tmp_path) if s == "train" else tmp_path, split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (8, 4)
    assert train.names == ("cat", "dog")
    assert {train.caption(i) for i in range(4)} == {"cat"}
    seen = {clip.numpy().tobytes() for part in (train, test) for clip in part.clips()}
    assert len(seen) == 12  # no picture is in both
    assert train.channels == 3


def test_grey_pictures_keep_one_channel(tmp_path):
    assert images(write_classes(tmp_path, colour=False)).channels == 1


def test_pictures_of_several_sizes_need_one(tmp_path):
    write_classes(tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "cat" / "1.png")
    with pytest.raises(ValueError, match="10 x 20"):
        images(tmp_path)
    assert images(tmp_path, size=(8, 12)).size == (8, 12)


def test_a_picture_that_is_none(tmp_path):
    write_classes(tmp_path)
    (tmp_path / "dog" / "1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1\.png"):
        images(tmp_path)


@pytest.mark.parametrize("folder", ["nowhere", ""])
def test_what_is_not_there_is_told_how_to_get(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
        images(tmp_path / folder)


def test_draws_depend_on_the_seed_alone():
    pictures = images("digits")
    first, again, other = (pictures.draw(8, seed=s)[0] for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= -1
    assert first.max() <= 1


@pytest.mark.parametrize("index", [-1, 1437, 0.5])
def test_a_picture_that_there_is_not(index):
    with pytest.raises((IndexError, ValueError)):
        images("digits").clip(index)


def test_labels_beyond_the_names():
    with pytest.raises(ValueError, match="0 to 1, got 0 to 2"):
        Images(PIXELS[..., None], LABELS, ("a", "b"), "made here")


@pytest.mark.skipif(not FASHION.is_dir(), reason="apt-get install dataset-fashion-mnist")
def test_fashion_mnist_where_debian_puts_it():
    train, test = images(), images("fashion-mnist", split="test")
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.names == FASHION_CLASSES
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.caption(0) == "ankle boot"
