"""The page of scores: a clip's series and map are charts of the page's own style."""

import numpy as np
import torch

from latentlab.video import write
from latentlab.view.scores import page


def test_a_clip_is_shown_with_its_series_and_its_map(tmp_path):
    write(tmp_path / "a.mkv", torch.zeros(1, 3, 4, 32, 32))
    series = {name: [0.1, None, 0.2] for name in ("overall", "whole", "regional", "texture")}
    levels = np.full((32, 32), 2.0).tolist()
    levels[0][0] = None
    row = {"clip": str(tmp_path / "a.mkv"), "frames": 4, "part": 4, "overall": 0.1, "motion_jitter": 0.2, "note": ""}
    row |= {"series": series, "map": levels}
    result = {"clips": [row], "mean": {"overall": 0.1}, "against": None, "unreadable": {}}
    html = page(result, ["overall"], [row]).html()
    for part in ("Lines of jitter", "Map of the flicker over the picture", "8-bit levels", "yellow is as much"):
        assert part in html
    assert html.count("currentColor") > 2
    assert "data:image/png" in html  # the map's cells
