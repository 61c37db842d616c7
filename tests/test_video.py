"""Clips on disk: exact where the format is exact, upright, in order, and clear when a file is bad."""

import base64
import io
import os
import signal
import struct
import subprocess
import sys
import time
import wave
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from latentlab.data import moving_shapes
from latentlab.metrics import psnr
from latentlab.video import (
    Clip,
    Info,
    data_uri,
    fit_clip,
    from_uint8,
    probe,
    read,
    read_at,
    read_fitted,
    show,
    to_uint8,
    write,
)

# x265 as PyAV 18.1 carries it corrupts the heap when it encodes a few clips in one process ("double free"), so the
# HEVC files are stored: made by `encode` below, packed with zlib and base 85.
# counted(20), libx265, open groups of pictures: keyint=6:min-keyint=6:scenecut=0:bframes=2
HEVC_RANGE = (
    "c-muNV30{GsVvAW&d+6FU}6B#Kx~v-U}DI?z`&7Kl$r_@kIhX<ECKTQG#J;5HoQ~S`Tvb2^*{npM2(5@f?#-yVVA>S>wkI&{w{S|"
    "#Q5Bib=mQm=5GY1zd!o>wUJ5e^#wqcybO#FRQ9(C95A`xaNq$@KoqD|^6OWDgIx~)g4);LeZxDwlL2I=AW%YKetaPho3@&p;G!=d"
    "4S<4jKtYZD*Y7wpb~$jj85S{k&yw8tN_(1#a^>f~<_4e&O)bVX60zZCD=c@o@Ev@jFwxh<`Q{w^6OmQ_Ro}<V)HGOTys>Lz=yPq5"
    "VgaCWmURNhH2-DKYV106-4iG#1r&4qf5n+iQ+CbDh0Zc}LnQ0#mM)DHX#zPw7AWg6|L+k4i8Uzpi*JZ%?rMN42-yE0=xoh@0S_+o"
    ")YPTl4s+8Bd~FjWz%2$;pbd1OK~(6OhKYL*b^NzTVEu0uJl(mtMdVn9Zdp{c^~zIbJ3dxDlzb3jYXwv;EWr3MN&kOgi@~qsJ1<V<"
    "T9SF|2T)iVXiX-_<$7xtHw!VF*floo+BrY#%)E;oUC_WQ1bITcFih&v?Y%!hP7?<Tc1-^d3DGb)=Z$_!nyu3&9|B78Gci75QvH7?"
    "dBUr!+Y=_w00}WLK7987uhJooj~wY?caH#toPbXEh*dq?pyv8hDfY;_(i2N>1y%ZLPH9?v`GUXn-EBPEo~3wbeZSAI-z0MVX3(n1"
    ")nOI&|1QsKi~2JAP}A8dMtML}gn-VN33R&lzn$Ec)kREwAGR<su-N40=a&Ixb8^cvQW#JG^9u$B&La$r3?PI6jHs&6`3?+t0Ta;N"
    "w34F4Y#=+PBpYleGp1>rM=*2}V=pMFD1f;tsVODJKw2g>r?>>617xlMR4>!L+?32jkdE9Gbiad4Tfq<tafNP1N=^|>rYtih6<K8%"
    "ke~07n3s~13R1(=nVXrH24sko<$?`GcBV=SL{289C^Zeq8$6{&ISLRqlV@>BQVx*)wz#A?1xd}_jMOqi96<r{xB`O*koLf-0v$;F"
    "{|_XKGs=>k85uzte*#!o?gPW0zdwLUou63&Xo`dbBM;;M{~!g-AQj9YBsX;ery@{N-HDMAO=dw7M`UWsPNSU*6hM3s!N{ltRLkbV"
    "c(C|FCn#W&N{XN{!d?b*OmPV~wqQ;d0hWFswgNB^VB#!LId)KhfpREVKBc4ptWZEgKtMo207QUT0ul<qXlBSrMwrVD(JuhCLjp>J"
    "?cu;7&V&$GU_jN+fGjTqbZ0V>`=NdS(<wl?Dx`o1i3<U-7O1=cVo6YG48%&Hlm?ZT17bxe)&~_KKr9bcCk^#G2)h9>sBjZ0E=kTu"
    "vR?;?lS)%cK&d+_Hx*2SfFg2A2B!X^#Danx<W!-X3CS+1D@*c02Fe1fo<x|3eG<#k%#8F5fylrJ0Q-t+JO"
)
# COLOURS as 6 bars of 16 x 32 pixels, 2 frames, libx265, yuv444p10le, crf 4
HEVC_10_BIT = (
    "c-muNV30{GsVvAW&d+6FU}6B#Kx~v-U}DI?z`&7Kl$r{pH|3@zmH_Fg8jR~%E8bgkOg{ZrE9C!w@AwP<E`^?m{vGZA|6Abw|96sB"
    "^=QgX%VTF?HQlmf^-Au1_8HgnlK(k5{Qc)4QM>u?vf1nZ-F$!a@AuTs_21ll|9_jm{JNmk+hxZMGVg5q|Mj-JeYCOLZtZEOC*Mun"
    "-u>~9jMJHQsi$2y|9yTpN8$Fzn1(F={OwPD8jt;t?RV0(w^(&>{qqK(!+4n(FL2fg9OL?s;&lQjz?_tupI-))$jL3sNMS$$%rAh%"
    "F9t>i5JCV(R8{DF2L`-=35a@1iW0Md?3j{lu$|0UO#6kQlNfswfLH;{RY^@LDF)IqsX4_ZNIHHY^fIyJrer39bmXR>`yFJO07K{z"
    "Fh@5dC8r1`Q<j;MimWmW$j|pk%uC5h1*u_NpPQMN24sko<$?`GcBV=SL{289C^ZeqQ9PwZISLRqV}5Z-QVx*)zPO|~1xd~QjMOqi"
    "96<r{xB`O*koLf-0v$;F{|_WfGs=>k8Cf`h%sC)}LGA;?pZ~vrp~TOu05nD1fsu#t|9_AIX0QriT**zH!Knz8({N&BM3tDpCg7B_"
    "X>-iXm<s|R5irrvpafLR;lg;ZSi+EF0w`#bN{XOyA__|`62&Fp_<}hem`=d%5dj7RvN#CK0L7Bg#F&ues!-D#!%QF+gqW3_kEBlr"
    "h?7cFN<e8KDmN8OgMcD(d;`-+QDQ+s4szJ(W<nB`>dKOQkb$zmT%QOFb)UqtG&3VTLm)CR0sxFn%zy"
)
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [128, 128, 128]])


def stored(path, packed):
    path.write_bytes(zlib.decompress(base64.b85decode(packed)))
    return path


def counted(num_frames=16, height=32, width=48):
    """Pictures whose frame number can be read back from a lossy file: 7 bright or dark bars are its bits."""
    pictures = np.zeros((num_frames, height, width, 3), np.uint8)
    for number in range(num_frames):
        for bit in range(7):
            pictures[number, :, bit * width // 7 : (bit + 1) * width // 7] = 255 * (number >> bit & 1)
    return pictures


def numbers_in(video):
    bars = video[0, :, :, video.shape[3] // 2]
    width = bars.shape[-1]
    bits = [bars[:, :, bit * width // 7 + width // 14].mean(0) > 0 for bit in range(7)]
    return sum(on.long() << bit for bit, on in enumerate(bits)).tolist()


def encode(path, pictures, codec="libx264", pix_fmt="yuv420p", rate=8, options=None, times=None, layout=None):
    """An encoder that shares nothing with latentlab's own."""
    with av.open(str(path), "w", options=layout or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], pix_fmt
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def noise(num_frames=8, height=32, width=48, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


# ---------------------------------------------------------------------------------------------- uint8 and back


def test_every_8_bit_level_survives_the_round_trip():
    pictures = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 1, 16, 16, 3)
    video = from_uint8(pictures)
    assert (video.min(), video.max(), video.dtype) == (-1, 1, torch.float32)
    assert (to_uint8(video) == pictures).all()


def test_overshoot_is_clamped_not_wrapped():
    video = torch.full((1, 3, 1, 2, 2), 1.02)
    assert (to_uint8(video) == 255).all()
    assert (to_uint8(-video) == 0).all()


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (torch.full((1, 3, 1, 2, 2), torch.nan), "NaN"),
        (torch.full((1, 3, 1, 2, 2), torch.inf), "infinite"),
        (torch.full((1, 3, 1, 2, 2), 255.0), "from_uint8"),
        (torch.zeros(1, 3, 1, 2, 2, dtype=torch.uint8), "floating point"),
        (torch.zeros(1, 2, 2, 3, 3), "batch, 3, frame"),
        (torch.zeros(1, 3, 0, 2, 2), "shape"),
        (torch.zeros(2, 3, 1, 2, 2), "batch of 2"),
    ],
)
def test_what_is_no_clip_is_refused_before_anything_is_written(tmp_path, video, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "new" / "clip.mkv", video)
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------------------------------------- write then read


@pytest.mark.parametrize("name", ["clip.mkv", "CLIP.MKV", "frames", "deep/er/clip.mkv", "a:b %03d 50%.mkv", "%02d"])
@pytest.mark.parametrize("size", [(32, 48), (17, 31)])
def test_exact_formats_are_exact(tmp_path, name, size):
    pictures = noise(12, *size)[None]
    write(tmp_path / name, from_uint8(pictures), fps=12)
    clip = read(tmp_path / name)
    assert (to_uint8(clip.video) == pictures).all()
    assert clip.note == ""


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".gif"])
def test_lossy_formats_keep_order_colour_and_rate(tmp_path, suffix):
    pictures = counted(20)
    pictures[:, 20:] = [200, 60, 20]  # a saturated colour: wrong matrices shift it by tens of levels
    write(tmp_path / f"clip{suffix}", from_uint8(pictures[None]), fps=12.5)
    clip = read(tmp_path / f"clip{suffix}")
    assert numbers_in(clip.video) == list(range(20))
    assert clip.fps == pytest.approx(12.5, rel=1e-9)
    off = to_uint8(clip.video)[0, :, 26, 24].astype(int) - [200, 60, 20]
    assert np.abs(off).max() <= 4


def test_odd_sides_repeat_the_last_pixel_of_large_clips_in_browser_formats(tmp_path):
    write(tmp_path / "clip.mp4", torch.zeros(1, 3, 2, 17, 301))
    assert read(tmp_path / "clip.mp4").video.shape == (1, 3, 2, 18, 302)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("size", [(64, 64), (17, 31)])
def test_small_clips_come_back_nearly_without_a_loss_and_at_their_own_size(tmp_path, suffix, size):
    clip = F.interpolate(moving_shapes(1, seed=7)[0], (16, *size))
    path = tmp_path / f"clip{suffix}"
    write(path, clip)
    again = read(path).video
    assert again.shape == clip.shape
    assert psnr(again, clip) > 46  # 36 with one colour for 2 x 2 pixels
    assert (probe(path).height, probe(path).width) == size
    assert torch.equal(read_fitted(path, 16, size).video, again)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (2 * size[0], 2 * size[1])
        assert stream.codec_context.pix_fmt == "yuv420p"  # QuickTime and Firefox play no other


def test_a_file_that_somebody_resized_is_taken_as_it_is(tmp_path):
    write(tmp_path / "clip.mp4", from_uint8(counted(3)[None]))
    with av.open(str(tmp_path / "clip.mp4")) as source, av.open(str(tmp_path / "large.mp4"), "w") as target:
        target.metadata["comment"] = source.metadata["comment"]
        stream = target.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 128, 192, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(frame.reformat(width=192, height=128)))
        target.mux(stream.encode())
    assert read(tmp_path / "large.mp4").video.shape[-2:] == (128, 192)


@pytest.mark.parametrize("fps", [1, 8, 25, 30, 30000 / 1001, 60, 12.5, np.float32(8)])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_frame_rate_is_kept(tmp_path, suffix, fps):
    write(tmp_path / f"clip{suffix}", from_uint8(counted(5)[None]), fps=fps)
    assert read(tmp_path / f"clip{suffix}").fps == pytest.approx(fps, rel=1e-6)


@pytest.mark.parametrize("fps", [8, 10, 30, 50])
def test_gif_keeps_its_rate_as_far_as_hundredths_of_a_second_allow(tmp_path, fps):
    write(tmp_path / "clip.gif", from_uint8(counted(40)[None]), fps=fps)
    assert read(tmp_path / "clip.gif").fps == pytest.approx(fps, rel=0.01)


def test_gif_palette_serves_the_clip(tmp_path):
    ramp = np.linspace(0, 255, 48).astype(np.uint8)
    pictures = np.broadcast_to(ramp[None, None, :, None] * np.array([1, 0, 0], np.uint8), (3, 32, 48, 3))
    write(tmp_path / "clip.gif", from_uint8(pictures[None].copy()))
    # A fixed 3-3-2 palette has 8 reds, 36 levels apart; the clip has 48 and they all fit.
    assert np.abs(to_uint8(read(tmp_path / "clip.gif").video).astype(int) - pictures).max() <= 4


def test_one_frame(tmp_path):
    for name in ("clip.mp4", "clip.gif", "clip.webm", "clip.mkv", "frames"):
        write(tmp_path / name, torch.zeros(1, 3, 1, 32, 32))
        assert read(tmp_path / name).video.shape == (1, 3, 1, 32, 32)
    assert read(tmp_path / "frames" / "frame_00000.png").fps == 8.0


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e6])
def test_bad_rates_are_refused(tmp_path, fps):
    with pytest.raises(ValueError, match="fps"):
        write(tmp_path / "clip.mp4", torch.zeros(1, 3, 2, 16, 16), fps=fps)


def test_bad_targets_are_refused(tmp_path):
    video = torch.zeros(1, 3, 2, 16, 16)
    with pytest.raises(ValueError, match=r"'\.avi'"):
        write(tmp_path / "clip.avi", video)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        write(tmp_path / "mine", video)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match="existing folder"):
        write(tmp_path / "folder.mp4", video)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(ValueError, match="existing file"):
        write(tmp_path / "plain", video)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.mp4", "mine", "plain"]


def test_a_shorter_folder_of_images_replaces_a_longer_one(tmp_path):
    write(tmp_path / "frames", from_uint8(counted(5)[None]))
    write(tmp_path / "frames", from_uint8(counted(3)[None]))
    assert read(tmp_path / "frames").video.shape[2] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


# ------------------------------------------------------------------------------------------------- killed writes


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.gif", "frames"])
def test_a_failing_encoder_leaves_the_older_clip(tmp_path, monkeypatch, name):
    old = from_uint8(counted(3)[None])
    write(tmp_path / name, old)
    before = read(tmp_path / name).video
    make, calls = av.VideoFrame.from_ndarray, []

    def from_ndarray(picture, format):
        calls.append(picture)
        if len(calls) == 3:
            raise MemoryError("on the third frame")
        return make(picture, format=format)

    blank = av.VideoFrame
    fails = type("Frame", (), {"__new__": lambda _, *size: blank(*size), "from_ndarray": staticmethod(from_ndarray)})
    monkeypatch.setattr("av.VideoFrame", fails)
    with pytest.raises(MemoryError, match="third"):
        write(tmp_path / name, from_uint8(noise(6)[None]))
    monkeypatch.undo()
    assert torch.equal(read(tmp_path / name).video, before)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_a_killed_process_leaves_the_older_clip(tmp_path):
    path = tmp_path / "clip.mkv"
    write(path, from_uint8(counted(3)[None]))
    before = path.read_bytes()
    code = "import sys, torch; from latentlab.video import write; write(sys.argv[1], torch.rand(1, 3, 300, 256, 256))"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 600
    while not any(p.stat().st_size for p in tmp_path.glob(".latentlab-*/*")) and time.monotonic() < deadline:
        assert process.poll() is None, "the write ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list(tmp_path.glob(".latentlab-*/*")), "killed before the encoder had begun"
    assert path.read_bytes() == before


# ------------------------------------------------------------------------------------------- ranges, order, time

RANGED = {
    "h264.mp4": {"codec": "libx264", "options": {"g": "6"}},
    "open_gop.mp4": {"codec": "libx264", "options": {"x264-params": "open-gop=1:keyint=7:scenecut=0:bframes=3"}},
    "intra_refresh.mp4": {"codec": "libx264", "options": {"x264-params": "intra-refresh=1:keyint=6:bframes=0"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "6"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "6"}},
    "h264.ts": {"codec": "libx264", "options": {"g": "6"}},
    "h264.mkv": {"codec": "libx264", "options": {"g": "6"}},
    "gif.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "raw.h264": {"codec": "libx264", "options": {"g": "6"}},
}


@pytest.mark.parametrize("name", [*RANGED, "hevc.mp4"])
def test_a_range_is_the_slice_of_the_whole(tmp_path, name):
    if name == "hevc.mp4":
        path = stored(tmp_path / name, HEVC_RANGE)
    else:
        path = encode(tmp_path / name, counted(20), **RANGED[name])
    whole = read(path).video
    assert numbers_in(whole) == list(range(20))
    for start, stop, step in [(0, 5, 1), (1, None, 1), (8, 18, 4), (15, 16, 1), (19, None, 1), (3, 20, 13)]:
        assert torch.equal(read(path, start=start, stop=stop, step=step).video, whole[:, :, start:stop:step])
    assert torch.equal(read_at(path, [17, 2, 2, 11]).video, whole[:, :, [17, 2, 2, 11]])


def test_step_divides_the_rate_and_a_late_stop_is_said(tmp_path):
    path = encode(tmp_path / "clip.mp4", counted(20), rate=24)
    clip = read(path, start=2, stop=99, step=3)
    assert clip.fps == 8
    assert numbers_in(clip.video) == [2, 5, 8, 11, 14, 17]
    assert clip.note == "stopped at the last frame, 19"


@pytest.mark.parametrize("bad", [{"start": -1}, {"stop": 0}, {"start": 3, "stop": 3}, {"step": 0}])
def test_empty_ranges_are_refused(tmp_path, bad):
    path = encode(tmp_path / "clip.mp4", counted(4))
    with pytest.raises(ValueError, match="start"):
        read(path, **bad)


def test_a_start_beyond_the_end_says_how_many_frames_there_are(tmp_path):
    path = encode(tmp_path / "clip.mp4", counted(4))
    with pytest.raises(ValueError, match=r"clip\.mp4 has 4 frames.* got 4"):
        read(path, start=4)
    with pytest.raises(ValueError, match="has 4 frames"):
        read_at(path, [0, 4])


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.mkv", "ffv1")])
def test_variable_rate_keeps_all_frames_and_reports_the_average(tmp_path, name, codec):
    times = [0, 40, 80, 500, 540, 1000, 1900, 2000, 2040]
    path = encode(tmp_path / name, counted(9), codec=codec, rate=1000, times=times)
    clip = read(path)
    assert numbers_in(clip.video) == list(range(9))
    assert clip.fps == pytest.approx(8 / 2.04, rel=0.15)  # the last frame's duration is anyone's guess
    assert numbers_in(read(path, start=5).video) == [5, 6, 7, 8]


def test_a_rewritten_file_is_read_anew(tmp_path):
    for num_frames in (4, 9):
        write(tmp_path / "clip.mkv", from_uint8(counted(num_frames)[None]))
        assert probe(tmp_path / "clip.mkv") == Info(num_frames, 32, 48, 8.0)


# ----------------------------------------------------------------------------------------- depth, rotation, images


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "options"),
    [
        ("h264.mp4", "libx264", "yuv444p10le", {"crf": "2"}),
        ("av1.webm", "libsvtav1", "yuv420p10le", {"crf": "5"}),
        ("hevc.mp4", "", "", {}),
    ],
)
def test_10_bit_files(tmp_path, name, codec, pix_fmt, options):
    if name == "hevc.mp4":
        path = stored(tmp_path / name, HEVC_10_BIT)
    else:
        pictures = np.broadcast_to(COLOURS.repeat(16, 0).astype(np.uint8), (3, 64, 96, 3))
        path = encode(tmp_path / name, pictures, codec, pix_fmt, options=options)
    with av.open(str(path)) as container:
        assert "10" in container.streams.video[0].pix_fmt
    found = to_uint8(read(path).video)
    assert np.abs(found[0, :, 16, 8::16].astype(int) - COLOURS).max() <= 4


def set_matrix(path, a, b, c, d):
    data = bytearray(path.read_bytes())
    spot = data.index(b"tkhd") + 4 + 40  # version 0: the matrix is 40 bytes into the box
    one = 1 << 16
    data[spot : spot + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


MATRICES = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORED = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", MATRICES + MIRRORED)
def test_display_matrices_are_honoured(tmp_path, matrix):
    """Each pixel goes where the file format's formula says: x' = a x + c y, y' = b x + d y, y downwards."""
    a, b, c, d = matrix
    path = encode(tmp_path / "phone.mp4", counted(2, 32, 64) // 2 + noise(2, 32, 64) // 2)
    stored = to_uint8(read(path).video)[0]
    set_matrix(path, a, b, c, d)
    shown = to_uint8(read(path).video)[0]
    y, x = np.mgrid[:32, :64]
    to_x, to_y = a * x + c * y, b * x + d * y
    expected = np.zeros((2, *((64, 32) if b else (32, 64)), 3), np.uint8)
    expected[:, to_y - to_y.min(), to_x - to_x.min()] = stored[:, y, x]
    assert shown.shape == expected.shape
    assert (shown == expected).all()
    assert (probe(path).height, probe(path).width) == expected.shape[1:3]


def test_a_clip_filmed_upright_stands_upright(tmp_path):
    """The matrix phones write for a portrait clip means: turn the stored picture a quarter clockwise."""
    pictures = np.zeros((2, 32, 64, 3), np.uint8)
    pictures[:, :, :16] = 255  # bright on the left as stored, so on top as shown
    path = encode(tmp_path / "phone.mp4", pictures)
    set_matrix(path, 0, 1, -1, 0)
    video = read(path).video
    assert video.shape == (1, 3, 2, 64, 32)
    assert video[..., :12, :].mean() > 0.9
    assert video[..., 20:, :].mean() < -0.9


def test_images_in_natural_order_others_ignored(tmp_path):
    for number in (10, 2, 1):
        write(tmp_path / "made", from_uint8(np.full((1, 1, 8, 8, 3), number, np.uint8)))
        (tmp_path / "made" / "frame_00000.png").rename(tmp_path / f"img{number}.PNG")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    assert to_uint8(read(tmp_path).video)[0, :, 0, 0, 0].tolist() == [1, 2, 10]
    assert to_uint8(read(tmp_path, start=1, stop=2).video)[0, :, 0, 0, 0].tolist() == [2]


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_photos_stand_upright(tmp_path, orientation, quarter_turns):
    image = pytest.importorskip("PIL.Image")
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:8, :16] = 255
    exif = image.Exif()
    exif[0x0112] = orientation
    image.fromarray(picture).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    shown = to_uint8(read(tmp_path / "photo.jpg").video)[0, 0]
    assert shown.shape == np.rot90(picture, quarter_turns).shape
    assert np.abs(shown.astype(int) - np.rot90(picture, quarter_turns)).mean() < 3


def test_images_of_different_sizes_need_a_size(tmp_path):
    for number, side in enumerate((8, 12)):
        write(tmp_path / "made", torch.zeros(1, 3, 1, side, 8))
        (tmp_path / "made" / "frame_00000.png").rename(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match=r"8 x 8, 8 x 12\).*size="):
        read(tmp_path)
    assert read(tmp_path, size=(4, 4)).video.shape == (1, 3, 2, 4, 4)


# ------------------------------------------------------------------------------------------------------ bad files


def nothing(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("this is no video, " * 20)


def sound(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        file.writeframes(bytes(8000))


def sound_mp4(path):
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def without_index(path):
    encode(path, noise(20))  # the index comes last here, so that half a file has none
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (nothing, "clip.mp4", r"0 bytes"),
        (text, "clip.mp4", r"cannot be opened.*360 bytes.*this is no v"),
        (sound, "clip.wav", r"no video, found: audio"),
        (sound_mp4, "clip.mp4", r"no video, found: audio"),
        (without_index, "clip.mp4", r"cannot be opened.*cut short"),
        (Path.mkdir, "folder", r"no images, found nothing"),
    ],
)
@pytest.mark.parametrize("reader", [read, probe, lambda path: read_fitted(path, 4, (8, 8))])
def test_hopeless_files_are_named_and_explained(tmp_path, make, name, message, reader):
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message) as caught:
        reader(tmp_path / name)
    assert name in str(caught.value)


def test_missing_files_and_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4 does not exist"):
        read(tmp_path / "gone.mp4")
    encode(tmp_path / "clip.mp4", counted(2))
    with pytest.raises(ValueError, match=r"no images, found 1 other files such as clip\.mp4"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("clip.mp4", "libx264", "yuv420p"), ("clip.mkv", "ffv1", "bgr0"), ("clip.webm", "libvpx-vp9", "yuv420p")],
)
def test_truncated_files_give_what_decodes_and_say_so(tmp_path, name, codec, pix_fmt):
    pictures = noise(40, 64, 64)
    layout = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = encode(tmp_path / name, pictures, codec, pix_fmt, options={"g": "10"}, layout=layout)
    whole = read(path).video
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with pytest.warns(UserWarning, match=f"{name} was cut short"):
        clip = read(path)
    assert "cut short" in clip.note
    assert 10 <= clip.video.shape[2] < 30
    assert torch.equal(clip.video[:, :, :10], whole[:, :, :10])
    with pytest.warns(UserWarning, match="cut short"):
        fitted = read_fitted(path, 32, (64, 64))
    assert fitted.video.shape == (1, 3, 32, 64, 64)
    assert torch.equal(fitted.video[:, :, -1], clip.video[:, :, -1])


def test_a_damaged_stretch_is_left_out_and_said(tmp_path):
    path = encode(tmp_path / "clip.mp4", noise(40, 64, 64), options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"lacks \d+ of the 40 frames"):
        clip = read(path)
    assert 20 <= clip.video.shape[2] < 40


@pytest.mark.parametrize("name", RANGED)
def test_a_whole_file_is_not_called_damaged(tmp_path, name, recwarn):
    assert read(encode(tmp_path / name, counted(20), **RANGED[name])).note == ""
    assert not recwarn.list


# -------------------------------------------------------------------------------------------------------- fitting


def test_crop_keeps_the_centre_and_the_proportions():
    video = -torch.ones(1, 3, 1, 40, 80)
    video[..., 16:24, 36:44] = 1  # a centred square
    shown = fit_clip(Clip(video, 8), 1, (20, 20)).video[0, 0, 0] > 0
    assert shown[8:12, 8:12].all()
    assert shown.sum() == 16


def test_pad_keeps_all_and_adds_black():
    fitted = fit_clip(Clip(torch.ones(1, 3, 1, 40, 80), 8), 1, (20, 20), fit="pad").video[0, 0, 0]
    assert (fitted[5:15] - 1).abs().max() < 1e-6
    assert torch.equal(fitted[[*range(5), *range(15, 20)]], -torch.ones(10, 20))


def test_stretch_keeps_all_and_fills():
    video = -torch.ones(1, 3, 1, 40, 80)
    video[..., 40:] = 1
    fitted = fit_clip(Clip(video, 8), 1, (20, 20), fit="stretch").video[0, 0, 0]
    assert (fitted[:, 12:] > 0.9).all()
    assert (fitted[:, :8] < -0.9).all()


def test_shrinking_is_antialiased():
    """A one-pixel checkerboard averages to grey; sampling without a filter gives black, white or stripes."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2.0 - 1).expand(1, 3, 1, 64, 64)
    assert fit_clip(Clip(board, 8), 1, (16, 16)).video[..., 2:-2, 2:-2].abs().max() < 0.02


def test_growing_stays_in_range():
    video = torch.where(torch.rand(1, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5, 1.0, -1.0)
    assert fit_clip(Clip(video, 8), 2, (32, 32)).video.abs().max() <= 1


@pytest.mark.parametrize("found", [(1, 1), (3, 200), (200, 3), (33, 57), (64, 64), (719, 1281)])
@pytest.mark.parametrize("size", [(64, 64), (1, 1), (48, 80), (7, 5)])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_the_size_asked_for_is_the_size_got(found, size, fit):
    assert fit_clip(Clip(torch.zeros(1, 3, 1, *found), 8), 1, size, fit).video.shape[-2:] == size


def test_long_clips_are_taken_evenly_short_ones_held():
    video = torch.arange(120.0).reshape(1, 1, 120, 1, 1).expand(1, 3, 120, 72, 128) / 120
    clip = fit_clip(Clip(video, 30), 16, (64, 64))
    taken = (clip.video[0, 0, :, 0, 0] * 120).round().long()
    assert (taken[0], taken[-1]) == (0, 119)
    assert set(taken.diff().tolist()) <= {7, 8}
    assert 16 / clip.fps == pytest.approx(120 / 30)
    assert clip.note == "took 16 of 120 frames evenly and scaled 128 x 72 to 64 x 64 with a centre crop"
    clip = fit_clip(Clip(video[:, :, :5], 30), 8, (72, 128))
    assert (clip.video[0, 0, :, 0, 0] * 120).round().tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert (clip.fps, clip.note) == (30, "held the last of 5 frames to reach 8")
    assert fit_clip(Clip(torch.zeros(1, 3, 1, 8, 8), 30.0), 8, (8, 8)).note == "held the one frame to reach 8"


def test_a_clip_that_fits_is_left_alone():
    video = torch.rand(2, 3, 4, 8, 8)
    clip = fit_clip(Clip(video, 8), 4, (8, 8))
    assert torch.equal(clip.video, video)
    assert (clip.fps, clip.note) == (8, "")


@pytest.mark.parametrize("bad", [{"fit": "squash"}, {"size": (0, 8)}, {"size": (8, 8, 8)}, {"num_frames": 0}])
def test_bad_fits_are_refused(tmp_path, bad):
    path = encode(tmp_path / "clip.mp4", counted(2))
    options = {"num_frames": 2, "size": (8, 8), "fit": "crop"} | bad
    with pytest.raises(ValueError, match=next(iter(bad))):
        fit_clip(Clip(torch.zeros(1, 3, 2, 4, 4), 8), **options)
    with pytest.raises(ValueError, match=next(iter(bad))):
        read_fitted(path, **options)


@pytest.mark.parametrize("num_frames", [1, 7, 30, 45])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_reading_fitted_is_fitting_what_was_read(tmp_path, num_frames, fit):
    path = encode(tmp_path / "clip.mp4", noise(30, 36, 64))
    streamed, held = read_fitted(path, num_frames, (24, 24), fit=fit), fit_clip(read(path), num_frames, (24, 24), fit)
    assert torch.equal(streamed.video, held.video)
    assert (streamed.fps, streamed.note) == (held.fps, held.note)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_the_file(tmp_path):
    """600 frames of 640 x 360 are 415 MB as uint8 and 1.6 GB as float; the peak may grow by a fraction of that."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's own peak memory")
    still = np.zeros((1, 360, 640, 3), np.uint8)
    path = encode(
        tmp_path / "long.mp4", np.broadcast_to(still, (600, *still.shape[1:])), options={"preset": "ultrafast"}
    )
    code = (  # `ru_maxrss` would begin with the parent's
        "import re, sys; from latentlab.video import read, read_fitted\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "read_fitted(sys.argv[1], 1, (64, 64)); before = peak()\n"
        "read_fitted(sys.argv[1], 16, (64, 64)); read(sys.argv[1], size=(32, 32)); print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) * 1024 < 100e6


# ----------------------------------------------------------------------------------------------------- in the page


def test_data_uri_is_an_mp4_of_sharp_pixels():
    pictures = noise(4, 16, 16)[None]
    uri = data_uri(from_uint8(pictures), fps=10, scale=8)
    head, payload = uri.split(",")
    assert head == "data:video/mp4;base64"
    with av.open(io.BytesIO(base64.b64decode(payload))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (128, 128, 10)
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    centres = np.stack(frames)[:, 4::8, 4::8].astype(int)
    assert len(frames) == 4
    assert np.abs(centres - pictures[0]).mean() < 6  # noise of 64 levels a channel, through chroma subsampling


def test_show_gives_one_player_a_clip():
    player = show(torch.zeros(3, 3, 2, 16, 16), width=64)
    html = player._repr_html_()
    assert html.count("<video") == 3
    for word in ("controls", "autoplay", "loop", "muted", "playsinline", 'width="64"'):
        assert html.count(word) == 3
    assert 'aria-label="clip 3 of 3"' in html
    assert repr(player) == "Player(3 clips)"  # a notebook keeps this text too: the clips are not in it again


def test_show_refuses_nonsense():
    with pytest.raises(ValueError, match="width"):
        show(torch.zeros(1, 3, 2, 16, 16), width=0)
    with pytest.raises(ValueError, match="scale"):
        data_uri(torch.zeros(1, 3, 2, 16, 16), scale=0)
    with pytest.raises(ValueError, match="batch of 2"):
        data_uri(torch.zeros(2, 3, 2, 16, 16))


def test_reading_turns_off_a_log_that_another_package_turned_on(tmp_path):
    write(tmp_path / "a.mkv", torch.zeros(1, 3, 2, 16, 16))
    av.logging.set_level(av.logging.ERROR)  # as torchvision does, and closing a decoder may then wait for ever
    read(tmp_path / "a.mkv")
    assert av.logging.get_level() is None
