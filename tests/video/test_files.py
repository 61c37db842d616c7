"""What is no clip is refused at once and by name; what is odd about a whole one does not stop the work."""

import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from latentlab.video import probe, read, read_at, read_fitted, to_uint8

READERS = [read, probe, lambda path: read_at(path, [0]), lambda path: read_fitted(path, 4, (8, 8))]


def encode(path, shapes=((16, 32),), num_frames=4, codec="ffv1", pix_fmt="bgr0", times=None, options=None, aspect=None):
    """A stream for each shape (height, width); frame k has the grey level 20 k."""
    with av.open(str(path), "w") as container:
        streams = []
        for height, width in shapes:
            stream = container.add_stream(codec, rate=Fraction(8 if times is None else 1000), options=options or {})
            stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
            if aspect:
                stream.codec_context.sample_aspect_ratio = aspect
            streams.append(stream)
        for k in range(num_frames):
            for stream in streams:
                picture = np.full((stream.height, stream.width, 3), 20 * k % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = (k, Fraction(1, 8)) if times is None else (times[k], Fraction(1, 1000))
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


def levels(clip):
    return (to_uint8(clip.video)[0, :, 0, 0, 0] / 20).round().astype(int).tolist()


# ----------------------------------------------------------------------------------------------------- at the door


@pytest.mark.parametrize("address", ["https://example.org/clips/a.mp4", "rtsp://camera/1", "file:///tmp/a.mp4"])
@pytest.mark.parametrize("reader", READERS)
def test_an_address_is_quoted_whole(reader, address):
    with pytest.raises(FileNotFoundError, match=f"^{address} is an address, and only files are read"):
        reader(address)


@pytest.mark.parametrize("reader", READERS)
def test_pipes_and_devices_are_refused_not_waited_on(tmp_path, reader):
    os.mkfifo(tmp_path / "x.mp4")
    with pytest.raises(ValueError, match=r"x\.mp4 is a pipe"):
        reader(tmp_path / "x.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"zero\.mp4 is a device"):
        reader(tmp_path / "zero.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile clip.mkv\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nclip.mkv\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8"])
def test_playlists_are_not_obeyed(tmp_path, text, name):
    encode(tmp_path / "clip.mkv")
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name} cannot be opened as a video.*starting with"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", [b"caf\xe9.mkv", b"\xff%03d.mkv", b"\xe9.mp4"])
def test_names_that_are_not_utf_8(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    encode(tmp_path / "a.mkv").rename(path)
    assert levels(read(path)) == [0, 1, 2, 3]
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty") as caught:
        read(path)
    assert os.fsdecode(name) in str(caught.value)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_tag_that_is_not_utf_8_does_not_stop_the_reading(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "cafZ au lait"
        stream = container.add_stream("mpeg4", rate=8)
        stream.height, stream.width, stream.pix_fmt = 16, 32, "yuv420p"
        for k in range(4):
            picture = np.full((16, 32, 3), 20 * k, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert b"cafZ au" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"cafZ au", b"caf\xe9 au"))
    assert levels(read(path)) == [0, 1, 2, 3]


def gif(width, height):
    """One picture of one pixel on a canvas of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    return head + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00;"


@pytest.mark.parametrize("reader", READERS)
def test_a_canvas_that_no_such_file_can_fill_is_refused(tmp_path, reader):
    (tmp_path / "a.gif").write_bytes(gif(8000, 8000))
    with pytest.raises(ValueError, match=r"a\.gif announces 8000 x 8000 pixels in \d+ bytes"):
        reader(tmp_path / "a.gif")
    (tmp_path / "a.gif").write_bytes(gif(64, 64))
    assert probe(tmp_path / "a.gif").width == 64


def test_pictures_too_large_are_refused_before_they_are_decoded(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 20000 20000 255\n" + bytes(100))
    with pytest.raises(ValueError, match=r"a\.ppm.*(400000000|20000 x 20000)"):
        read(tmp_path / "a.ppm")


def test_a_clip_larger_than_the_memory_is_refused_with_both_sizes(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mkv")
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 20_000}[name])
    with pytest.raises(ValueError, match=r"4 frames of 32 x 16 take 0\.0 GB.*`size=`"):
        read(path)
    assert read(path, stop=3).video.shape[2] == 3


# ------------------------------------------------------------------------------------- told, or taken by their time


UNEVEN = [100 * k if k < 6 else 600 + 500 * (k - 6) for k in range(12)]  # ten a second, then two a second


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("num_frames", [2, 5, 8, 12, 15])
def test_uneven_frames_are_taken_by_their_times(tmp_path, name, num_frames):
    codec, kind = ("ffv1", "bgr0") if name == "a.mkv" else ("libx264", "yuv444p")
    path = encode(tmp_path / name, num_frames=12, times=UNEVEN, codec=codec, pix_fmt=kind)
    taken = min(num_frames, 12)
    shown = [max(k for k in range(12) if UNEVEN[k] <= t + 1e-6) for t in np.linspace(0, UNEVEN[-1], taken)]
    clip = read_fitted(path, num_frames, (16, 32))
    assert levels(clip) == shown + [11] * (num_frames - taken)
    assert clip.note.startswith(f"took {taken} of 12 frames evenly in time")
    whole = read(path)
    assert levels(whole) == list(range(12))
    assert whole.note == "its frame times are uneven, frames were taken by number"


def test_times_rounded_to_a_tick_are_even(tmp_path):
    times = [round(1000 * k / 60) for k in range(12)]
    path = encode(tmp_path / "a.mkv", num_frames=12, times=times)
    assert read(path).note == ""
    assert read_fitted(path, 4, (16, 32)).note == "took 4 of 12 frames evenly"


@pytest.mark.parametrize("shapes", [((8, 8), (16, 32)), ((16, 32), (8, 8))])
def test_of_several_tracks_the_largest_is_read_and_the_others_told(tmp_path, shapes):
    path = encode(tmp_path / "a.mkv", shapes)
    for clip in (read(path), read(path, start=2)):
        assert clip.video.shape[-2:] == torch.Size([16, 32])
        assert clip.note == "of its 2 picture tracks the largest was read (the others: 8 x 8)"
    assert levels(read(path, start=2)) == [2, 3]
    assert (probe(path).height, probe(path).width) == (16, 32)


def test_pixels_that_are_not_square_are_told(tmp_path):
    path = encode(tmp_path / "a.mp4", codec="libx264", pix_fmt="yuv420p", aspect=Fraction(16, 15))
    assert read(path).note == "its pixels, 16:15 of width to height, were taken as square"


def test_interlaced_video_is_told(tmp_path):
    options = {"flags": "+ildct+ilme"}
    path = encode(tmp_path / "a.mpg", codec="mpeg2video", pix_fmt="yuv420p", shapes=((32, 32),), options=options)
    assert "interlaced" in read(path).note
    path = encode(tmp_path / "b.mpg", codec="mpeg2video", pix_fmt="yuv420p", shapes=((32, 32),))
    assert read(path).note == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells its peak memory on Linux alone")
def test_reading_whole_does_not_hold_the_clip_twice(tmp_path):
    """200 frames of 320 x 320 are 246 MB as float32; the peak may rise by that and a tenth."""
    path = encode(tmp_path / "a.mp4", ((320, 320),), 200, "libx264", "yuv420p", options={"preset": "ultrafast"})
    code = (  # `ru_maxrss` would begin with the parent's
        "import re, sys; from latentlab.video import read\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "read(sys.argv[1], stop=3); before = peak(); read(sys.argv[1]); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert 0.9 < int(done.stdout) / (200 * 320 * 320 * 12) < 1.1
