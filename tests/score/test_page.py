"""The page of scores: a clip's series and map are drawn in the page's own style."""

import re

import numpy as np
import torch

from latentlab.score.page import scores_page
from latentlab.score.result import AllScores, ClipRow
from latentlab.video import write
from latentlab.view.sketch import sketch_lines, sketch_map


def test_a_clip_is_shown_with_its_series_and_its_map(tmp_path):
    write(tmp_path / "a.mkv", torch.zeros(1, 3, 4, 32, 32))
    series = {name: [0.1, None, 0.2] for name in ("overall", "whole", "regional", "texture")}
    levels = np.full((32, 32), 2.0).tolist()
    levels[0][0] = None
    row = ClipRow(str(tmp_path / "a.mkv"), 4, part=4, figures={"overall": 0.1, "motion_jitter": 0.2})
    html = scores_page(AllScores((row,), {"overall": 0.1}), ["overall"], [(row, series, levels)]).html()
    for part in ("Lines of jitter", "Map of the flicker over the picture", "8-bit levels", "yellow is 2 8-bit levels"):
        assert part in html
    assert html.count("currentColor") > 2
    assert "matplotlib" not in html
    assert "data:image/png" in html  # the map's cells


def test_a_clip_that_was_not_measured_is_told_in_words(tmp_path):
    row = ClipRow("a.mkv", 4, figures={"overall": None}, reason="0.4 % of the picture can be followed")
    html = scores_page(AllScores((row,), {}), ["overall"], []).html()
    for part in ("flicker not measured.", "Flicker not measured", "0.4 % of the picture can be followed"):
        assert part in html


def test_gaps_break_lines_and_a_point_alone_is_a_dot():
    drawn = sketch_lines({"whole": [1.0, np.nan, 2.0, 4.0]}, "frame", "jitter", first=1)
    (line,) = re.findall(r'<path d="(M[^"]*)" fill="none"', str(drawn.inline))
    assert line.count("M") == 2
    assert line.count("L") == 1
    assert ">4<" in str(drawn.inline)  # the last tick, and the last frame


def test_no_series_and_no_finite_number_are_drawn():
    for values in ([], [np.nan], [np.nan, 0.0]):
        assert "<svg" in str(sketch_lines({"whole": values}, "frame", "jitter").inline)
    assert sketch_map(np.full((2, 3), np.nan), "Nothing.", "{top}").caption == "1"
