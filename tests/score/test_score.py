"""`latentlab score`: rows against the library's own numbers, resuming, unreadable files, sets, the page."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.cli import main
from latentlab.data import moving_shapes
from latentlab.metrics import compare, flicker, frechet_distance, psnr
from latentlab.metrics.perceptual import ssim
from latentlab.metrics.published import temporal_flickering
from latentlab.row_log import RowLog
from latentlab.score import find_clips, reader_td, rows, score_clips
from latentlab.score.find import partners
from latentlab.score.sets import unpacked
from latentlab.store import replacing
from latentlab.video import probe, read, write

pytestmark = pytest.mark.filterwarnings("ignore:.*mostly bias")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five clips, a copy of them with noise, and two files that are no clips."""
    root = tmp_path_factory.mktemp("set")
    clips, _ = moving_shapes(5, seed=3)
    noise = 0.1 * torch.randn(clips.shape, generator=torch.Generator().manual_seed(0))
    for name, videos in (("clean", clips), ("noisy", (clips + noise).clamp(-1, 1))):
        (root / name).mkdir()
        for i, video in enumerate(videos.split(1)):
            write(root / name / f"{i}.mkv", video[:, :, :8])
    (root / "noisy" / "broken.mp4").write_bytes(b"this is no video")
    write(root / "noisy" / "short.mkv", clips[:1, :, :2])
    return root


@pytest.fixture(scope="module")
def scored(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return score_clips([folder / "noisy"], [folder / "clean"], out=out, bootstrap=5), out


def test_a_row_is_what_the_library_measures(folder, scored):
    row = next(r for r in scored[0]["clips"] if r["clip"].endswith("2.mkv"))
    video, reference = read(folder / "noisy" / "2.mkv").video, read(folder / "clean" / "2.mkv").video
    found = flicker(video)
    for name in ("overall", "whole", "regional", "texture", "spectral", "motion_jitter", "difference", "coverage"):
        assert row[name] == pytest.approx(getattr(found, name).item(), abs=1e-4)
    assert row["vbench_flickering"] == pytest.approx(temporal_flickering(video).item(), abs=1e-6)
    assert row["psnr"] == pytest.approx(psnr(video, reference).item(), abs=1e-3)
    assert row["ssim"] == pytest.approx(ssim(video, reference).item(), abs=1e-5)
    assert (row["frames"], row["height"], row["width"], row["note"]) == (8, 64, 64, "")


def test_files_that_cannot_be_read_are_named_with_the_reason(scored):
    result, _ = scored
    assert len(result["clips"]) == 5
    why = {path.rsplit("/", 1)[1]: reason for path, reason in result["unreadable"].items()}
    assert "cannot be opened as a video" in why["broken.mp4"]
    assert "3 frames or more" in why["short.mkv"]


def test_the_sets_are_compared_by_named_features(folder, scored):
    sets = scored[0]["against"]
    assert sets["frechet"]["name"] == "frechet(reader-td)"
    assert sets["frechet"]["samples"] == sets["samples"] == (5, 5)
    assert sets["frechet"]["settings"]["frames x height x width"] == ["16 x 64 x 64"]
    assert len(sets["frechet"]["settings"]["weights"]) == 64
    reader = reader_td()
    noisy, clean = (torch.cat([reader(read(p).video) for p in sorted((folder / side).glob("[0-9].mkv"))])
                    for side in ("noisy", "clean"))  # fmt: skip
    assert sets["frechet"]["value"] == pytest.approx(frechet_distance(noisy, clean), rel=1e-4)
    assert 0 <= sets["recall"] <= 1


@pytest.fixture(scope="module")
def real():
    """Clips, their features, and those of others of the same kind."""
    clips = moving_shapes(96, seed=11)[0]
    return clips, reader_td().collect(clips), reader_td().collect(moving_shapes(96, seed=12)[0])


SPOILED = {
    "jitter of 8 levels": lambda v, noise: (v + 8 / 127.5 * noise.view(-1, 1, 16, 1, 1)).clamp(-1, 1),
    "frames in any order": lambda v, noise: torch.stack([x[:, i] for x, i in zip(v, noise.argsort(1), strict=True)]),
    "two frames swapped": lambda v, noise: v[:, :, [*range(6), 9, 7, 8, 6, *range(10, 16)]],
    "played backwards": lambda v, noise: v.flip(2),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_the_reader_sees_flicker_and_order_on_all_frames(spoil, real):
    """The two frames that are swapped are none of the four that the shapes are read from."""
    clips, own, others = real
    noise = torch.randn(96, 16, generator=torch.Generator().manual_seed(0))
    found = compare(reader_td().collect(spoil(clips, noise)), others, bootstrap=0)
    assert own.shape == (96, 192)
    assert found.value > 1.2 * max(found.floor, frechet_distance(own, others))


def test_everything_is_written_and_the_page_needs_nothing_else(scored):
    result, out = scored
    saved = json.loads((out / "scores.json").read_text())
    assert saved["clips"] == result["clips"]
    lines = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines() if line]
    assert sum("series" in line["row"] for line in lines) == 5
    assert len(lines[0]["row"]["series"]["overall"]) == 6
    page = (out / "scores.html").read_text()
    for part in ("frechet(reader-td)", "broken.mp4", "Map of the flicker", "Lines of jitter", "<video"):
        assert part in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_a_stopped_run_goes_on_and_a_changed_file_is_scored_again(folder, tmp_path, monkeypatch):
    seen, row = [], rows.row_of

    def watched(path, *rest):
        if len(seen) == 2 and not (tmp_path / "scores.html").exists():
            raise KeyboardInterrupt
        seen.append(path.name)
        return row(path, *rest)

    monkeypatch.setattr(rows, "row_of", watched)
    clips = [folder / "clean" / f"{i}.mkv" for i in range(3)]
    with pytest.raises(KeyboardInterrupt):
        score_clips(clips, out=tmp_path)
    text = (tmp_path / "scores.jsonl").read_text()
    (tmp_path / "scores.jsonl").write_text(text[:-300])  # as a kill in the middle of a line leaves it
    (tmp_path / "scores.html").touch()
    result = score_clips(clips, out=tmp_path)
    assert seen == ["0.mkv", "1.mkv", "1.mkv", "2.mkv"]
    assert score_clips(clips, out=tmp_path) == result
    assert seen == ["0.mkv", "1.mkv", "1.mkv", "2.mkv"]
    copy = tmp_path / "1.mkv"
    copy.write_bytes(clips[1].read_bytes())
    score_clips([copy], out=tmp_path)
    write(copy, torch.zeros(1, 3, 5, 16, 16))
    again = score_clips([copy], out=tmp_path)
    assert seen[4:] == ["1.mkv", "1.mkv"]
    assert again["clips"][0]["frames"] == 5


def test_a_resumed_run_gives_the_same_numbers_as_a_fresh_one(folder, tmp_path, scored):
    clips = [folder / "noisy" / f"{i}.mkv" for i in range(5)]
    score_clips(clips[:2], [folder / "clean"], out=tmp_path, bootstrap=5)
    resumed = score_clips(clips, [folder / "clean"], out=tmp_path, bootstrap=5)
    assert resumed["clips"] == scored[0]["clips"]
    assert resumed["against"] == scored[0]["against"]


def test_a_clip_too_large_to_hold_is_scored_in_parts(folder, tmp_path, monkeypatch):
    path = tmp_path / "long.mkv"
    base = 0.3 * torch.randn(1, 3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    jitter = 4 / 127.5 * torch.randn(1, 3, 40, 32, 32, generator=torch.Generator().manual_seed(2))
    write(path, (base + jitter).clamp(-1, 1))
    whole = score_clips([path], out=tmp_path / "a")["clips"][0]
    monkeypatch.setattr(rows, "WINDOW", 3 * 32 * 32 * 9)
    parts = score_clips([path], out=tmp_path / "b")["clips"][0]
    assert parts["note"] == "scored in 6 parts"
    for name in ("overall", "texture", "regional"):
        assert parts[name] == pytest.approx(whole[name], rel=0.1)
    assert parts["vbench_flickering"] == pytest.approx(whole["vbench_flickering"], abs=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "b" / "scores.jsonl").read_text().splitlines() if line]
    assert len(lines[0]["row"]["series"]["overall"]) == 38


def test_clips_of_one_name_are_paired_and_so_is_one_with_one(folder, tmp_path):
    one = score_clips([folder / "noisy" / "1.mkv"], [folder / "clean" / "0.mkv"], out=tmp_path)
    assert one["clips"][0]["partner"].endswith("clean/0.mkv")
    assert one["clips"][0]["psnr"] < 30
    assert "two clips or more on each side" in one["against"]["note"]
    same = score_clips([folder / "clean" / "0.mkv"], [folder / "clean" / "0.mkv"], out=tmp_path)["clips"][0]
    assert (same["ssim"], same["psnr"], same["partner_note"]) == (1.0, None, "equal frames")


def test_partners_of_other_shapes_are_said_not_to_be_compared(folder, tmp_path):
    write(tmp_path / "small.mkv", torch.zeros(1, 3, 4, 16, 16))
    row = score_clips([folder / "clean" / "0.mkv"], [tmp_path / "small.mkv"], out=tmp_path / "out")["clips"][0]
    assert row["psnr"] is None
    assert row["partner_note"] == "not compared: 8 frames of 64 x 64 and 4 frames of 16 x 16"


def test_clips_are_found_in_natural_order_each_once(tmp_path):
    for name in ("a/10.mp4", "a/2.mp4", "a/cover.png", "b/1.png", "b/2.png", ".hidden.mp4", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_clips([tmp_path / "a" / "2.mp4", tmp_path])
    assert [str(p.relative_to(tmp_path)) for p in found] == ["a/2.mp4", "a/10.mp4", "b"]


def test_what_is_no_clip_is_named_and_notes_reach_the_row(folder, tmp_path):
    (tmp_path / "set").mkdir()
    clip = tmp_path / "set" / "0.mkv"
    clip.write_bytes((folder / "clean" / "0.mkv").read_bytes())
    for name in ("0.txt", "list.csv", "cover.png"):
        (tmp_path / "set" / name).write_text("x")
    result = score_clips([tmp_path / "set"], out=tmp_path / "out")
    assert {path.rsplit("/", 1)[1]: why for path, why in result["left_out"].items()} == {
        "list.csv": "neither video nor image by its suffix '.csv'",
        "cover.png": "a picture beside videos, which is no clip",
    }
    assert "neither video nor image" in (tmp_path / "out" / "scores.html").read_text()
    uneven = tmp_path / "uneven.webp"
    first, *others = [Image.new("RGB", (16, 16), (20 * k,) * 3) for k in range(5)]
    first.save(uneven, save_all=True, append_images=others, duration=[50, 50, 50, 900, 50], lossless=True)
    assert "uneven" in score_clips([uneven], out=tmp_path / "out2")["clips"][0]["note"]


def test_clips_are_paired_by_place_before_name(tmp_path):
    for name in ("x/a/1.mp4", "x/b/1.mp4", "x/c/2.mp4", "y/a/1.mkv", "y/d/2.mp4", "y/3/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    pairs = partners(find_clips([tmp_path / "x"]), find_clips([tmp_path / "y"]))
    assert {str(a.relative_to(tmp_path)): str(b.relative_to(tmp_path)) for a, b in pairs.items()} == {
        "x/a/1.mp4": "y/a/1.mkv",
        "x/c/2.mp4": "y/d/2.mp4",
    }


def test_every_clip_that_gives_nothing_is_named_and_the_others_go_on(folder, tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("0", "1", "bad"):
        (clips / f"{name}.mkv").write_bytes((folder / "clean" / "0.mkv").read_bytes())
    (clips / "gone.mkv").symlink_to(tmp_path / "nowhere.mkv")

    def careful(path):
        if path.stem == "bad":
            raise cv2.error("as OpenCV does")
        return probe(path)

    monkeypatch.setattr(rows, "probe", careful)
    result = score_clips([clips], out=tmp_path / "out")
    assert [row["clip"].rsplit("/", 1)[1] for row in result["clips"]] == ["0.mkv", "1.mkv"]
    why = {path.rsplit("/", 1)[1]: reason for path, reason in result["unreadable"].items()}
    assert why.keys() == {"bad.mkv", "gone.mkv"}
    assert why["bad.mkv"] == "error: as OpenCV does"
    assert "gone.mkv does not exist" in why["gone.mkv"]


def test_a_bad_partner_or_too_few_frames_for_the_features_leave_the_row(folder, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.mkv").write_bytes(b"no video")
    (tmp_path / "other" / "1.mkv").write_bytes((folder / "clean" / "1.mkv").read_bytes())

    class Ten(torch.nn.Module):
        def forward(self, x, rescale: bool = True, resize: bool = True, return_features: bool = False):
            return x.flatten(2).mean(2)

    torch.jit.script(Ten()).save(tmp_path / "i3d.pt")
    result = score_clips(
        [folder / "clean"], [tmp_path / "other"], out=tmp_path, features=f"i3d={tmp_path / 'i3d.pt'}", trusted=True
    )
    assert len(result["clips"]) == 5
    row = result["clips"][0]
    assert row["overall"] >= 0
    assert "not compared: " in row["partner_note"]
    assert "cannot be opened as a video" in row["partner_note"]
    assert row["features_note"] == "not compared: i3d takes 10 or more frames, got 8; choose them before"
    assert "got 0 and 0; " in result["against"]["note"]
    assert "i3d takes 10" in result["unreadable"][str(tmp_path / "other" / "1.mkv")]


def test_features_of_a_file_say_size_resize_rule_and_that_it_is_not_verified(folder, tmp_path):
    class Sums(torch.nn.Module):
        def forward(self, x, return_features: bool = False):
            return x.float().flatten(2).mean(2)

    torch.jit.script(Sums()).save(tmp_path / "net.pt")
    arguments = {"features": f"inception={tmp_path / 'net.pt'}", "bootstrap": 2, "trusted": True}
    result = score_clips([folder / "noisy"], [folder / "clean"], out=tmp_path, **arguments)["against"]["frechet"]
    assert result["name"] == "frechet(inception, unverified file)"
    assert result["settings"]["weights"].startswith("unverified file sha256=")
    assert result["settings"]["frames x height x width"] == ["8 x 64 x 64"]
    assert result["settings"]["of the reference"] == ["8 x 64 x 64"]
    assert (result["samples"], result["clips"]) == ((40, 40), (5, 5))


def test_features_stay_in_the_file(folder, tmp_path):
    score_clips([folder / "clean"], [folder / "noisy"], out=tmp_path, bootstrap=2)
    row_log = RowLog.open(tmp_path / "scores.jsonl")
    assert row_log.done
    assert not any(name in row for row in row_log.done.values() for name in ("features", "series", "map"))
    kept = [parts["features"] for _, parts in row_log.details(row_log.done.keys())]
    vectors = {tuple(unpacked(parts)[0].tolist()) for parts in kept}
    assert vectors >= {tuple(reader_td()(read(p).video)[0].tolist()) for p in (folder / "clean").glob("*.mkv")}


def test_a_comparison_that_was_impossible_ends_with_2(folder, tmp_path, capsys):
    write(tmp_path / "small.mkv", torch.zeros(1, 3, 4, 16, 16))
    arguments = ["score", str(folder / "clean" / "0.mkv"), "--out", str(tmp_path / "out"), "--against"]
    assert main([*arguments, str(tmp_path / "small.mkv")]) == 2
    said = capsys.readouterr()
    assert "vbench_flickering" in said.out
    lines = [line for line in said.err.replace("\r", "\n").splitlines() if line.startswith("latentlab score:")]
    assert len(lines) == 1
    assert "nothing could be compared: two clips or more" in lines[0]
    assert "not compared: 8 frames of 64 x 64" in lines[0]
    assert main([*arguments, str(folder / "noisy" / "0.mkv")]) == 0  # the pair was


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.mp4"], "missing.mp4 does not exist"),
        (["."], "holds no video and no image"),
        (["a.mp4", "--against", "missing"], "missing does not exist"),
        (["a.mp4", "--against", "a.mp4", "--features", "resnet"], "must be reader-td, i3d=FILE"),
        (["a.mp4", "--against", "a.mp4", "--features", "i3d=no.pt"], "needed is i3d_torchscript.pt"),
        (["a.mp4", "--features", "i3d=no.pt"], "compare clips with a reference, and there is none"),
        (["a.mp4", "--out", "a.mp4"], "a.mp4 is a file, not a folder"),
        (["a.mp4", "--out", "out"], "none of the 1 clips can be scored; the first: a.mp4:"),
        (["a.mp4", "--bootstrap", "0"], "--bootstrap"),
    ],
)
def test_bad_input_is_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if arguments[0] != ".":
        (tmp_path / "a.mp4").write_bytes(b"nothing")
    try:
        code = main(["score", *arguments])
    except SystemExit as stopped:
        code = stopped.code
    error = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if "latentlab score:" in line]
    assert code == 2
    assert len(error) == 1
    assert said in error[0]


def test_the_command_prints_a_table_and_json(folder, tmp_path, capsys):
    arguments = ["score", str(folder / "noisy"), "--against", str(folder / "clean"), "--bootstrap", "2"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for part in ("vbench_flickering", "mean", "frechet(reader-td)", "kernel(reader-td)", "precision", "not scored"):
        assert part in said
    assert main([*arguments, "--out", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["clips"]) == 5
    assert np.isfinite(result["mean"]["overall"])


def test_a_clip_that_was_not_measured_is_told_and_comes_last(tmp_path):
    unrelated = 0.4 * torch.randn(1, 3, 6, 64, 64, generator=torch.Generator().manual_seed(0))
    write(tmp_path / "clips" / "a.mkv", unrelated.clamp(-1, 1))
    write(tmp_path / "clips" / "b.mkv", torch.zeros(1, 3, 6, 64, 64))
    result = score_clips([tmp_path / "clips"], out=tmp_path / "out")
    first, second = result["clips"]
    assert first["overall"] is None
    assert "% of the picture can be followed" in first["reason"]
    assert (second["overall"], second["reason"]) == (0, "")
    assert result["mean"]["overall"] == 0
    assert "Flicker not measured" in (tmp_path / "out" / "scores.html").read_text()


def test_a_damaged_line_is_scored_again(folder, tmp_path):
    clips = [folder / "clean" / f"{i}.mkv" for i in range(2)]
    first = score_clips(clips, out=tmp_path)
    file = tmp_path / "scores.jsonl"
    good = [json.loads(line) for line in file.read_text().splitlines() if line]
    spoilt = json.dumps(good[0]).replace('"overall": ', '"overall": 9', 1)  # a flipped digit is JSON still
    for damage in ([spoilt], ["[]"], ['{"key": 1}'], [json.dumps({**good[0], "row": []})], ["{" * 5000], ["\udcff"]):
        lines = [*damage, json.dumps(good[1])]
        file.write_text("\n".join(lines) + "\n", errors="surrogateescape")
        assert score_clips(clips, out=tmp_path)["clips"] == first["clips"]
        assert len(RowLog.open(file).done) == 2


def test_a_name_that_is_no_utf8_is_scored_and_shown(folder, tmp_path, capsys):
    clip = tmp_path / os.fsdecode(b"caf\xe9 <b>.mkv")
    shutil.copyfile(folder / "clean" / "0.mkv", clip)
    assert main(["score", str(clip), "--out", str(tmp_path / "out")]) == 0
    assert r"caf\udce9 <b>.mkv" in capsys.readouterr().out
    assert r"caf\udce9 &lt;b&gt;.mkv" in (tmp_path / "out" / "scores.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["clips"][0]["clip"] == str(clip)


def test_nothing_to_compare_is_told_before_the_work(folder, tmp_path, capsys):
    against = str(folder / "noisy" / "0.mkv")
    clips = [str(folder / "clean" / f"{i}.mkv") for i in (1, 2)]
    assert main(["score", *clips, "--against", against, "--out", str(tmp_path / "out")]) == 2
    assert "nothing could be compared: 2 and 1 clips" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_clips_that_another_process_is_writing_are_no_clips_yet(folder, tmp_path):
    shutil.copyfile(folder / "clean" / "0.mkv", tmp_path / "a.mkv")
    with replacing(tmp_path / "b.mkv") as partial:
        partial.write_bytes(b"half")
        assert [path.name for path in find_clips([tmp_path])] == ["a.mkv"]
