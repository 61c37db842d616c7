"""dSprites: the grid, its pictures, and the original file."""

import io
import zipfile

import numpy as np
import pytest
import torch

from latentlab.data import dsprites
from latentlab.data.dsprites import COUNT, GRID, SHAPES, SIDE, SIZES, DSprites, draw_sprite


@pytest.fixture(scope="module")
def sprites():
    return DSprites()


def test_the_grid_is_the_published_one(sprites):
    assert SIZES == (3, 6, 40, 32, 32)
    assert len(sprites) == COUNT == 737_280
    last = sprites.factors([COUNT - 1])
    assert last.values.tolist() == [[2, 1.0, 360.0, 1.0, 1.0]]
    assert sprites.factors([1])["y"] == pytest.approx(1 / 31)  # y changes fastest, shape slowest
    assert sprites.factors([32])["x"] == pytest.approx(1 / 31)
    assert sprites.factors([COUNT // 3])["shape"] == 1


def test_places_and_factors_are_each_others_inverse(sprites):
    for index in np.random.default_rng(0).integers(COUNT, size=20):
        values = sprites.factors([index]).values[0]
        at = {f.name: int(np.argmin(abs(g - v))) for f, g, v in zip(dsprites.FACTORS, GRID, values, strict=True)}
        assert sprites.index(**at) == index


@pytest.mark.parametrize("shape", range(3))
def test_no_shape_leaves_the_picture_or_changes_its_area(shape):
    areas = []
    for angle in range(0, 360, 30):
        for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            picture = draw_sprite(shape, 1.0, angle, x, y)
            assert not picture[[0, -1]].any()
            assert not picture[:, [0, -1]].any()
            areas.append(picture.sum())
    assert np.ptp(areas) < 0.05 * np.mean(areas)


def test_scale_is_that_of_lengths():
    middle = GRID[3][15]
    for shape in range(3):
        large, small = (draw_sprite(shape, scale, 10, middle, middle).sum() for scale in (1.0, 0.5))
        assert large / small == pytest.approx(4, rel=0.06)


def test_a_step_of_place_is_a_pixel():
    first = draw_sprite(2, 0.8, 40, GRID[3][4], GRID[4][7])
    assert np.array_equal(np.roll(first, 1, axis=1), draw_sprite(2, 0.8, 40, GRID[3][5], GRID[4][7]))
    assert np.array_equal(np.roll(first, 1, axis=0), draw_sprite(2, 0.8, 40, GRID[3][4], GRID[4][8]))


def test_neighbouring_values_can_be_told_apart(sprites):
    for shape in range(1, 3):  # a square looks the same after every quarter turn, an ellipse after half a one
        turns = 39 if shape == 2 else 19
        pictures = {draw_sprite(shape, 1.0, angle, 0.5, 0.5).tobytes() for angle in GRID[2][:turns]}
        assert len(pictures) == turns
    assert np.array_equal(draw_sprite(2, 1.0, 0, 0, 0), draw_sprite(2, 1.0, 360, 0, 0))


def test_clips_are_black_and_white_and_draws_repeat(sprites):
    video, factors = sprites.draw(4, seed=3)
    again, same = sprites.draw(4, seed=3)
    assert video.shape == (4, 3, 1, SIDE, SIDE)
    assert set(video.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(video, again)
    assert np.array_equal(factors.values, same.values)
    assert factors.names == ("shape", "scale", "orientation", "x", "y")
    assert not torch.equal(video, sprites.draw(4, seed=4)[0])


@pytest.mark.parametrize("index", [-1, COUNT])
def test_pictures_that_are_not_there(sprites, index):
    with pytest.raises(IndexError, match="0 to 737279"):
        sprites.clip(index)
    with pytest.raises(IndexError):
        sprites.factors([index])


def test_unknown_names_and_values(sprites):
    with pytest.raises(ValueError, match="hue"):
        sprites.index(hue=0)
    with pytest.raises(ValueError, match="0 to 5"):
        sprites.index(scale=6)


def test_the_original_file_is_read_lazily_as_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(dsprites, "COUNT", 10)
    monkeypatch.setattr(dsprites, "READ_AT_ONCE", 4)
    pictures = np.random.default_rng(0).integers(2, size=(10, SIDE, SIDE)).astype(np.uint8)
    # The original holds a pickled dictionary beside the pictures; it must stay untouched.
    np.savez_compressed(tmp_path / "sprites.npz", imgs=pictures, metadata=np.array({"a": 1}, dtype=object))
    read = DSprites(tmp_path / "sprites.npz", progress=False)
    assert all(np.array_equal(read.image(i), pictures[i]) for i in range(10))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="co1sh3sc6or40x32y32"):
        DSprites(tmp_path / "missing.npz")
    np.savez(tmp_path / "small.npz", imgs=np.zeros((3, SIDE, SIDE), np.uint8))
    np.savez(tmp_path / "other.npz", pictures=np.zeros(3))
    (tmp_path / "text.npz").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        archive.writestr("imgs.npy", b"nonsense")
    for name in ("small", "other", "text", "short"):
        with pytest.raises(ValueError, match="not the npz of dSprites"):
            DSprites(tmp_path / f"{name}.npz")


def test_a_file_that_ends_early_says_where(tmp_path):
    header = io.BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": (COUNT, SIDE, SIDE)}
    np.lib.format.write_array_header_1_0(header, about)
    with zipfile.ZipFile(tmp_path / "early.npz", "w") as archive:
        archive.writestr("imgs.npy", header.getvalue() + bytes(100 * SIDE**2))
    with pytest.raises(ValueError, match="it ends after 100 pictures"):
        DSprites(tmp_path / "early.npz", progress=False)


def test_shapes_are_three():
    assert set(dsprites.OUTLINES) == set(SHAPES)


def test_pictures_go_by_whole_numbers(sprites):
    assert len(sprites.factors([])) == 0
    for wrong in ([0.5], 5, np.ones(3, bool)):
        with pytest.raises(IndexError, match="whole numbers"):
            sprites.factors(wrong)
    with pytest.raises(ValueError, match="at least one picture"):
        sprites.draw(0)
