"""Pictures as Pillow shows them, and clips that are one picture file."""

import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from latentlab.video import probe, read, read_at, read_fitted, to_uint8

Y, X = np.mgrid[:32, :48]
PICTURE = np.stack([5 * X, 7 * Y, (X * Y) % 251], 2).astype(np.uint8)


def shown(path):
    return to_uint8(read(path).video)[0, 0]


def greys(count, step=20, size=(16, 16)):
    return [Image.fromarray(np.full((*size, 3), step * k, np.uint8)) for k in range(count)]


def levels(clip):
    return to_uint8(clip.video)[0, :, 0, 0, 0].tolist()


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_as_their_exif_block_asks(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(PICTURE).save(path, exif=exif)
    right = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    assert (shown(path) == right).all()
    assert (probe(path).height, probe(path).width) == right.shape[:2]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB"])
@pytest.mark.parametrize("size", [(32, 48), (17, 31), (1, 1)])
def test_modes_and_odd_sizes_are_as_pillow_shows_them(tmp_path, kind, mode, size):
    path = tmp_path / f"a.{kind.lower()}"
    try:
        Image.fromarray(PICTURE[: size[0], : size[1]]).convert(mode).save(path, kind)
    except OSError:
        pytest.skip(f"{kind} holds no {mode}")
    assert (shown(path) == np.asarray(Image.open(path).convert("RGB"))).all()
    assert read(path).note == ""


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tiff_whatever_its_compression(tmp_path, compression):
    Image.fromarray(PICTURE).save(tmp_path / "a.tif", compression=compression)
    assert np.abs(shown(tmp_path / "a.tif") - np.asarray(Image.open(tmp_path / "a.tif")).astype(int)).max() == 0


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_cut(tmp_path, suffix):
    deep = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    found = read(tmp_path / f"a.{suffix}").video[0, :, 0].numpy()
    assert np.abs(found - (deep / 32767.5 - 1)).max() < 1e-6


@pytest.mark.parametrize("orientation", [1, 5, 6, 2])
def test_16_bit_colour_keeps_its_depth(tmp_path, orientation):
    cv2 = pytest.importorskip("cv2")
    deep = np.random.default_rng(0).integers(0, 65536, (8, 12, 3), dtype=np.uint16)
    _, encoded = cv2.imencode(".png", deep[..., ::-1])
    exif = Image.Exif()
    exif[274] = orientation
    block = exif.tobytes()[6:]
    chunk = len(block).to_bytes(4, "big") + b"eXIf" + block
    chunk += zlib.crc32(chunk[4:]).to_bytes(4, "big")
    data = encoded.tobytes()
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])  # after the header
    found = read(tmp_path / "a.png").video[0, :, 0].permute(1, 2, 0).numpy()
    turned = {1: deep, 5: deep.swapaxes(0, 1), 6: np.rot90(deep, 3), 2: deep[:, ::-1]}[orientation]
    assert np.abs(found - (turned / 32767.5 - 1)).max() < 1e-4


def test_values_without_a_white_are_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif.*32-bit.*mode F"):
        read(tmp_path / "a.tif")


def test_transparency_is_told(tmp_path):
    clear = np.concatenate([PICTURE, np.full((32, 48, 1), 255, np.uint8)], 2)
    Image.fromarray(clear).save(tmp_path / "full.png")
    clear[3, 3, 3] = 0
    Image.fromarray(clear).save(tmp_path / "some.png")
    Image.fromarray(PICTURE).quantize(8).save(tmp_path / "palette.png", transparency=0)
    assert read(tmp_path / "full.png").note == ""
    assert read(tmp_path / "some.png").note == "its transparency was dropped"
    assert read(tmp_path / "palette.png").note == "its transparency was dropped"
    assert (shown(tmp_path / "some.png") == PICTURE).all()


def test_colour_profiles_are_honoured(tmp_path):
    """A profile whose red is the green of sRGB, and its green the red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PICTURE).save(tmp_path / "srgb.png", icc_profile=profile)
    assert (shown(tmp_path / "srgb.png") == PICTURE).all()
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    Image.fromarray(PICTURE).save(tmp_path / "swapped.png", icc_profile=swapped)
    assert np.abs(shown(tmp_path / "swapped.png") - PICTURE[..., [1, 0, 2]].astype(int)).max() <= 2
    Image.fromarray(PICTURE).save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    clip = read(tmp_path / "broken.png")
    assert (to_uint8(clip.video)[0, 0] == PICTURE).all()
    assert "colour profile cannot be used" in clip.note


# ----------------------------------------------------------------------------------- several pictures in one file


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_animations_are_clips_with_their_times(tmp_path, name):
    durations = [100, 100, 100, 700]
    first, *others = greys(4)
    first.save(tmp_path / name, save_all=True, append_images=others, duration=durations, lossless=True)
    clip = read(tmp_path / name)
    assert levels(clip) == [0, 20, 40, 60]
    assert clip.fps == pytest.approx(4)
    assert levels(read(tmp_path / name, start=1, stop=3)) == [20, 40]
    assert levels(read_at(tmp_path / name, [3, 0])) == [60, 0]
    assert probe(tmp_path / name).num_frames == 4


def test_an_apng_stand_in_is_no_part_of_it(tmp_path):
    first, *others = greys(4)
    first.save(tmp_path / "a.png", save_all=True, append_images=others, duration=125, default_image=True)
    assert levels(read(tmp_path / "a.png")) == [20, 40, 60]


def test_pages_of_a_tiff_are_frames_and_other_sizes_are_told(tmp_path):
    first, *others = [*greys(6), *greys(1, size=(4, 4))]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    clip = read(tmp_path / "a.tif")
    assert levels(clip) == [0, 20, 40, 60, 80, 100]
    assert clip.note == "1 of its 7 pages, of other sizes, were left out"
    assert levels(read_fitted(tmp_path / "a.tif", 3, (16, 16))) == [0, 40, 100]


def test_second_views_of_a_photo_are_no_frames_and_told(tmp_path):
    first, *others = greys(3)
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=others)
    clip = read(tmp_path / "a.jpg")
    assert clip.video.shape[2] == 1
    assert clip.note == "it holds 3 pictures (views or previews) and the first was read"


# ------------------------------------------------------------------------------------------------ folders of them


def spoil(kind, path):
    whole = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere.png")
    else:
        path.write_bytes({"no picture": b"hello, no picture", "empty": b"", "half": whole[: len(whole) // 2]}[kind])


@pytest.mark.parametrize("kind", ["no picture", "empty", "half", "folder", "dangling"])
@pytest.mark.parametrize("number", [0, 5])
def test_a_bad_picture_of_a_folder_is_passed_over_and_named(tmp_path, kind, number):
    noise = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    for k, picture in enumerate(noise):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    spoil(kind, tmp_path / f"{number}.png")
    others = np.delete(noise, number, 0)
    assert probe(tmp_path).height == 16
    if kind == "folder":
        clip = read(tmp_path)
    else:
        with pytest.warns(UserWarning, match=rf"lacks 1 of the 7 frames.*{number}\.png"):
            clip = read(tmp_path)
        assert f"{number}.png" in clip.note
    assert (to_uint8(clip.video)[0] == others).all()


def test_a_folder_of_bad_pictures_gives_a_reason(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 3 frames.*0\.png is empty \(0 bytes\)"):
        read(tmp_path)


def test_pictures_of_many_frames_in_a_folder_are_told(tmp_path):
    first, *others = greys(3)
    for k in range(2):
        first.save(tmp_path / f"{k}.webp", save_all=True, append_images=others, duration=100, lossless=True)
    clip = read(tmp_path)
    assert clip.video.shape == torch.Size([1, 3, 2, 16, 16])
    assert "several pictures" in clip.note
