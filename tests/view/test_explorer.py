"""The explorer on a small space whose edits are known."""

import json

import numpy as np
import pytest
import torch

from latentlab.directions import Direction
from latentlab.view.explore import default_directions, explore
from latentlab.view.explorer import Explorer
from latentlab.view.film import film, strip
from latentlab.view.setting import Setting

pytest.importorskip("ipywidgets", reason="the explorer needs the extra [notebook]")
SHAPE = (3, 8, 16, 16)


class Pixels:
    """Codes are the pixels."""

    shape = SHAPE

    def encode(self, video):
        return video.flatten(1)

    def decode(self, codes):
        return codes.reshape(len(codes), *SHAPE)


def light() -> dict[str, Direction]:
    size = int(np.prod(SHAPE))
    return {"light": Direction("light", np.full(size, size**-0.5), scale=0.1 * size**0.5)}


@pytest.fixture
def explorer():
    shown = Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), torch.full((1, *SHAPE), 0.5))
    assert shown.wait(20)
    yield shown
    shown.close()


def said(explorer) -> str:
    return explorer._said.value


def test_a_slider_changes_the_picture(explorer):
    assert explorer.video.abs().max() == 0
    explorer.sliders["light"].value = 2.0
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *SHAPE), 0.2), atol=1e-5)
    assert "flicker" in said(explorer)


def test_it_walks_to_the_other_clip(explorer):
    explorer.set(Setting(position=1.0, path="lerp"))
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *SHAPE), 0.5), atol=1e-5)


def test_a_box_keeps_the_rest(explorer):
    explorer.set(Setting(strengths=(("light", 1.0),), box=(0.0, 0.0, 0.5, 1.0), frames=(2, 3)))
    assert explorer.wait(20)
    assert explorer.video[:, :, 2:4, :, :8].min() > 0.05
    assert explorer.video[..., 8:].abs().max() < 1e-6
    assert explorer.video[:, :, :2].abs().max() < 1e-6
    assert "outside the box" in said(explorer)


def test_undo_goes_back(explorer):
    explorer.sliders["light"].value = 2.0
    explorer.sliders["light"].value = 1.0
    explorer.undo()
    assert explorer.setting.strengths == (("light", 2.0),)
    assert explorer.sliders["light"].value == 2.0
    assert explorer.wait(20)
    assert explorer.video.max().item() == pytest.approx(0.2, abs=1e-5)


def test_presets_are_kept_and_recalled(explorer):
    explorer.sliders["light"].value = 2.0
    explorer.keep("bright")
    explorer.set(Setting())
    explorer.recall("bright")
    assert explorer.setting.strengths == (("light", 2.0),)
    with pytest.raises(KeyError, match="dark"):
        explorer.recall("dark")


def test_a_recipe_draws_the_same_frames(explorer, tmp_path):
    explorer.set(Setting(strengths=(("light", 1.5),), position=0.3, profile="ramp"))
    explorer.wait(20)
    drawn = explorer.video
    explorer.export(tmp_path / "bright.json")
    explorer.set(Setting())
    explorer.load(tmp_path / "bright.json")
    assert explorer.wait(20)
    assert torch.equal(explorer.video, drawn)


def test_a_recipe_of_another_clip_is_refused(explorer, tmp_path):
    explorer.export(tmp_path / "mine.json")
    written = json.loads((tmp_path / "mine.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**written, "clip": "0" * 64}))
    with pytest.raises(ValueError, match="another clip"):
        explorer.load(tmp_path / "other.json")


def test_an_error_keeps_the_last_picture():
    class Breaks(Pixels):
        def decode(self, codes):
            if codes.max() > 0.15:
                raise RuntimeError("too bright for me")
            return super().decode(codes)

    explorer = Explorer(Breaks(), light(), torch.zeros(1, *SHAPE))
    assert explorer.wait(20)
    picture = explorer._screen.value
    explorer.sliders["light"].value = 3.0
    assert explorer.wait(20)
    assert "too bright for me" in said(explorer)
    assert explorer._screen.value == picture
    explorer.sliders["light"].value = 1.0
    assert explorer.wait(20)
    assert explorer.video.max().item() == pytest.approx(0.1, abs=1e-5)
    explorer.close()


def test_a_page_without_a_kernel_gets_the_picture(explorer):
    assert "data:image/png;base64," in explorer._repr_mimebundle_()["text/html"]


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="one clip"):
        Explorer(Pixels(), light(), torch.zeros(2, *SHAPE))
    with pytest.raises(ValueError, match="charm"):
        Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), limits={"charm": (0, 1)})
    with pytest.raises(ValueError, match="pass clip="):
        explore(Pixels())
    with pytest.raises(ValueError, match="pass directions="):
        default_directions(Pixels(), torch.zeros(1, *SHAPE))


@pytest.mark.parametrize("bad", [{"path": "walk"}, {"position": 2.0}, {"box": (0.5, 0, 0.2, 1)}, {"frames": (3, 1)}])
def test_a_setting_out_of_range_is_told(bad):
    with pytest.raises(ValueError):
        Setting(**bad)


def test_a_film_plays_or_stands():
    clip = torch.zeros(1, 3, 4, 8, 8)
    assert "animation" in film(clip)
    assert "background-position:-512px" in film(clip, frame=2, width=256)
    with pytest.raises(ValueError, match="one clip"):
        strip(clip[0])
