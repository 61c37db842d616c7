"""Colours against the formulas of ITU-T H.273 and ITU-R BT.2100, in files that carry them to the bit (ffv1)."""

from fractions import Fraction

import av
import numpy as np
import pytest

from latentlab.video import read, to_uint8

PATCHES = np.array([[200, 60, 60], [60, 180, 80], [70, 80, 200], [128, 128, 128], [220, 200, 180], [40, 40, 40]])
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
BT709_TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def yuv(rgb, matrix, bits, full=False):
    """Quantised Y, Cb, Cr of nonlinear RGB in 0..1."""
    kr, kb = LUMA[matrix]
    y = rgb @ np.array([kr, 1 - kr - kb, kb])
    chroma = (rgb[:, 2] - y) / (2 - 2 * kb), (rgb[:, 0] - y) / (2 - 2 * kr)
    unit, last = 2 ** (bits - 8), 2**bits - 1
    values = (
        [y * last, *(c * last + 128 * unit for c in chroma)]
        if full
        else [(219 * y + 16) * unit, *((224 * c + 128) * unit for c in chroma)]
    )
    return [np.rint(value).astype(np.uint16 if bits > 8 else np.uint8) for value in values]


def save(path, planes, pix_fmt, size=(8, 8), codec="ffv1", **tags):
    """Two frames of patches side by side, each `size`, height and width; the planes are values, one a patch."""
    height, width = size[0], size[1] * len(planes[0])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(8))
        stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
        for tag, value in tags.items():
            setattr(stream.codec_context, tag, value)
        for _ in range(2):
            frame = av.VideoFrame(width, height, pix_fmt)
            for target, values in zip(frame.planes, planes, strict=True):
                rows = np.zeros((height, target.line_size // values.itemsize), values.dtype)
                rows[:, :width] = np.repeat(values, size[1])
                target.update(rows.tobytes())
            for tag, value in tags.items():
                setattr(frame, tag, value)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patches_of(clip, count=6):
    row = to_uint8(clip.video)[0, 0, 4].astype(int)
    return row[row.shape[0] // count // 2 :: row.shape[0] // count]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("color_range", [1, 2])
def test_matrices_ranges_and_depths_are_honoured(tmp_path, bits, matrix, color_range):
    planes = yuv(PATCHES / 255, matrix, bits, full=color_range == 2)
    kind = "yuv444p" + (f"{bits}le" if bits > 8 else "")
    clip = read(save(tmp_path / "a.mkv", planes, kind, colorspace=matrix, color_range=color_range))
    assert np.abs(patches_of(clip) - PATCHES).max() <= (2 if bits == 8 else 0)
    assert clip.note == ""


def test_more_than_8_bits_are_kept(tmp_path):
    """A ramp of all 10-bit levels from black to white keeps its 877 values."""
    ramp = np.arange(64, 941, dtype=np.uint16)
    grey = np.full_like(ramp, 512)
    clip = read(save(tmp_path / "a.mkv", [ramp, grey, grey], "yuv444p10le", (2, 1), colorspace=1, color_range=1))
    right = (ramp - 64.0) / 876 * 2 - 1
    assert np.abs(clip.video[0, :, 0, 0].numpy() - right).max() < 1e-5


@pytest.mark.parametrize("kind", ["gray16le", "gray10le", "gbrp10le", "gbrp16le"])
def test_deep_grey_and_rgb_are_exact(tmp_path, kind):
    most = 1023 if "10" in kind else 65535
    values = np.linspace(0, most, 11).astype(np.uint16)
    clip = read(save(tmp_path / "a.mkv", [values] * (3 if "gbr" in kind else 1), kind, (2, 2)))
    assert np.abs(clip.video[0, :, 0, 0, ::2].numpy() - (values / most * 2 - 1)).max() < 2e-3
    assert clip.video.max() <= 1


def pq(light):
    """The inverse EOTF of BT.2100, table 4; light in units of 10,000 cd/m2."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    return ((c1 + c2 * light**m1) / (1 + c3 * light**m1)) ** m2


def hlg(light):
    """Display light in units of 1,000 cd/m2 to signal (BT.2100, table 5): the inverse OOTF, then the OETF."""
    luminance = light @ np.array([0.2627, 0.6780, 0.0593])
    scene = light * luminance[:, None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def linear(levels):
    x = levels / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(("transfer", "name", "signal"), [(16, "PQ", pq), (18, "HLG", hlg)])
def test_hdr_looks_like_the_sdr_it_was_made_from(tmp_path, transfer, name, signal):
    light = linear(PATCHES) @ BT709_TO_BT2020.T * 203  # cd/m2, white as BT.2408 has it
    values = signal(light / (10_000 if name == "PQ" else 1000))
    tags = {"colorspace": 9, "color_range": 1, "color_trc": transfer, "color_primaries": 9}
    clip = read(save(tmp_path / "a.mkv", yuv(values, 9, 10), "yuv444p10le", **tags))
    assert np.abs(patches_of(clip) - PATCHES).max() <= 2
    assert clip.note == f"HDR ({name}) was tone-mapped to SDR"


def test_highlights_roll_off_in_order_and_keep_their_hue(tmp_path):
    light = np.array([0.5, 0.8, 1, 2, 3, 1000 / 203, 8])[:, None] * 203 * np.array([1.0, 0.5, 0.25])
    values = pq(light @ BT709_TO_BT2020.T / 10_000)
    tags = {"colorspace": 9, "color_range": 1, "color_trc": 16, "color_primaries": 9}
    clip = read(save(tmp_path / "a.mkv", yuv(values, 9, 12), "yuv444p12le", **tags))
    shown = linear(patches_of(clip, 7))
    assert (np.diff(shown[:, 0]) > 0)[:5].all()
    assert shown[-2, 0] == pytest.approx(1, abs=0.01)
    assert shown[:6, 1] / shown[:6, 0] == pytest.approx(0.5, abs=0.02)


def test_untagged_hd_is_bt709_and_untagged_sd_bt601(tmp_path):
    for size, matrix in (((720, 8), 1), ((8, 216), 1), ((576, 8), 5)):
        clip = read(save(tmp_path / f"{size[0]}.mkv", yuv(PATCHES / 255, matrix, 8), "yuv444p", size))
        assert np.abs(patches_of(clip) - PATCHES).max() <= 2
        assert ("BT.709" in clip.note) == (matrix == 1)


def test_primaries_and_transfers_that_are_not_honoured_are_told(tmp_path):
    planes = yuv(PATCHES / 255, 1, 8)
    clip = read(save(tmp_path / "a.mkv", planes, "yuv444p", colorspace=1, color_primaries=12, color_trc=8))
    assert "Display P3 primaries were taken as BT.709" in clip.note
    assert "linear transfer" in clip.note


def test_transparency_is_told_where_there_is_any(tmp_path):
    values = [np.full(4, value, np.uint8) for value in (90, 60, 30)]
    for alpha in (255, 128):
        planes = [*values, np.full(4, alpha, np.uint8)]
        clip = read(save(tmp_path / f"{alpha}.mkv", [values[0], *planes[1:]], "yuva444p"))
        assert clip.note == ("" if alpha == 255 else "its transparency was dropped")
