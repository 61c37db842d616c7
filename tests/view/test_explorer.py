"""The explorer on a small space whose edits are known."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latentlab.directions import Direction, DirectionSet, LocalDirection, Range
from latentlab.record import frame_hash
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace
from latentlab.study.edit_space import edit_space
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step, draw
from latentlab.view.explore import default_directions, explore
from latentlab.view.explorer import Explorer
from latentlab.view.film import film, strip
from latentlab.view.setting import ExplorerState

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


def press(explorer, button: str) -> None:
    explorer.controls.buttons[button].click()


def test_a_slider_changes_the_picture(explorer):
    assert explorer.video.abs().max() == 0
    explorer.sliders["light"].value = 2.0
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *SHAPE), 0.2), atol=1e-5)
    assert "flicker" in said(explorer)


def test_an_image_has_no_flicker():
    size = 3 * 16 * 16
    light = Direction("light", np.full(size, size**-0.5), scale=0.1 * size**0.5)

    class Images(Pixels):
        shape = (3, 1, 16, 16)

        def decode(self, codes):
            return codes.reshape(len(codes), *self.shape)

    explorer = Explorer(Images(), [light], torch.zeros(1, *Images.shape))
    explorer.sliders["light"].value = 2.0
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *Images.shape), 0.2), atol=1e-5)
    assert "flicker" not in said(explorer)
    assert "PSNR" in said(explorer)
    explorer.close()


def test_directions_come_in_any_form():
    one = light()["light"]
    several = DirectionSet(("light",), one.vector[None], np.array([[one.scale**2]]))
    for given in (one, [one], several):
        explorer = Explorer(Pixels(), given, torch.zeros(1, *SHAPE))
        assert list(explorer.sliders) == ["light"]
        assert explorer.drawing.directions["light"].scale == pytest.approx(one.scale)
        explorer.close()


def test_it_says_what_it_is_in_a_line(explorer):
    assert repr(explorer).endswith(f"along {', '.join(explorer.sliders)}")
    assert "\n" not in repr(explorer)


def test_it_walks_to_the_other_clip(explorer):
    explorer.set(ExplorerState(position=1.0, path="lerp"))
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *SHAPE), 0.5), atol=1e-5)


def test_a_box_keeps_the_rest(explorer):
    explorer.set(ExplorerState(strengths=(("light", 1.0),), box=(0.0, 0.0, 0.5, 1.0), frames=(2, 3)))
    assert explorer.wait(20)
    assert explorer.video[:, :, 2:4, :, :8].min() > 0.05
    assert explorer.video[..., 8:].abs().max() < 1e-6
    assert explorer.video[:, :, :2].abs().max() < 1e-6
    assert "outside the mask" in said(explorer)


def test_undo_goes_back(explorer, monkeypatch):
    monkeypatch.setattr("latentlab.view.explorer.ONE_MOVE", -1.0)
    explorer.sliders["light"].value = 2.0
    explorer.sliders["light"].value = 1.0
    explorer.undo()
    assert explorer.setting.strengths == (("light", 2.0),)
    assert explorer.sliders["light"].value == 2.0
    assert explorer.wait(20)
    assert explorer.video.max().item() == pytest.approx(0.2, abs=1e-5)


def test_a_slider_drawn_along_is_undone_as_one_move(explorer, monkeypatch):
    monkeypatch.setattr("latentlab.view.explorer.ONE_MOVE", 3600.0)
    for value in (0.5, 1.0, 1.5):
        explorer.sliders["light"].value = value
    explorer.set(explorer.setting.moved(profile="ramp"))
    explorer.undo()
    assert explorer.setting.strengths == (("light", 1.5),)
    explorer.undo()
    assert explorer.setting == ExplorerState()


def test_keys_change_a_strength_over_frames(explorer):
    explorer.sliders["light"].value = 0.0
    press(explorer, "key this frame")
    explorer.controls.frame.value = 7
    explorer.sliders["light"].value = 2.0
    assert explorer.setting.keys == ((0, ()), (7, (("light", 2.0),)))
    assert explorer.wait(20)
    ramp = torch.linspace(0, 0.2, 8).view(1, 1, 8, 1, 1).expand(1, *SHAPE)
    assert torch.allclose(explorer.video, ramp, atol=1e-5)
    explorer.controls.frame.value = 0  # the slider shows the strength of the frame at hand
    assert explorer.sliders["light"].value == 0.0
    press(explorer, "remove key")
    assert explorer.setting.keys == ((7, (("light", 2.0),)),)
    assert explorer.wait(20)
    assert torch.allclose(explorer.video, torch.full((1, *SHAPE), 0.2), atol=1e-5)


def test_keys_hold_before_the_first_and_after_the_last():
    keyed = ExplorerState(keys=((2, (("light", 1.0),)), (4, (("light", 3.0),))))
    assert [keyed.at(frame)["light"] for frame in (0, 2, 3, 4, 9)] == [1, 1, 2, 3, 3]


def test_paint_keeps_the_rest(explorer):
    pytest.importorskip("anywidget", reason="the brush needs the extra [notebook]")
    explorer.sliders["light"].value = 1.0
    explorer.controls.brush.rows = ["1" * 16 + "0" * 16] * 32  # as the browser sends it
    assert explorer.wait(20)
    assert explorer.video[..., :8].min() > 0.05
    assert explorer.video[..., 8:].abs().max() < 1e-6
    assert "outside the mask" in said(explorer)
    press(explorer, "wipe paint")
    assert explorer.wait(20)
    assert explorer.video.min() > 0.05


def test_presets_are_kept_and_recalled(explorer):
    explorer.sliders["light"].value = 2.0
    explorer.keep("bright")
    explorer.set(ExplorerState())
    explorer.recall("bright")
    assert explorer.setting.strengths == (("light", 2.0),)
    with pytest.raises(KeyError, match="dark"):
        explorer.recall("dark")


def test_a_recipe_draws_the_same_frames(explorer, tmp_path):
    explorer.set(ExplorerState(strengths=(("light", 1.5),), position=0.3, profile="ramp"))
    explorer.wait(20)
    drawn = explorer.video
    explorer.export(tmp_path / "bright.json")
    explorer.set(ExplorerState())
    explorer.load(tmp_path / "bright.json")
    assert explorer.wait(20)
    assert torch.equal(explorer.video, drawn)


@pytest.mark.parametrize("kind", [LatentSpace, NoiseSpace])
def test_a_recipe_is_replayed_without_an_explorer(tiny_generator, clips, tmp_path, kind):
    space = kind(tiny_generator, **({"num_steps": 3, "levels": "sampling"} if kind is NoiseSpace else {}))
    rng = np.random.default_rng(0)
    vector = rng.normal(size=space.dim)
    push = Direction("push", vector / np.linalg.norm(vector), 3.0)
    explorer = explore(space, {"push": push}, clip=clips[:1], other=clips[1:2])
    settings = (
        ExplorerState(strengths=(("push", 2.0),), position=0.4),
        ExplorerState(keys=((0, ()), (3, (("push", 2.0),))), box=(0, 0, 0.5, 1), profile="pulse"),
    )
    for i, setting in enumerate(settings):
        explorer.set(setting)
        assert explorer.wait(60)
        explorer.export(tmp_path / f"{i}.safetensors")
        assert "written" in said(explorer)
        again = Recipe.load(tmp_path / f"{i}.safetensors").replay(tiny_generator, clips[:1])
        assert frame_hash(again.video) == frame_hash(explorer.video)
        assert frame_hash(again.video) != frame_hash(explorer.clip)
    explorer.close()


def test_a_told_space_draws_under_its_caption_and_guidance(tiny_generator, clips, tmp_path):
    told = {"num_steps": 3, "method": "heun", "caption": "a red star", "guidance": 3.0}
    space = NoiseSpace(tiny_generator, levels="sampling", **told)
    push = Direction("push", np.eye(1, space.dim)[0], 3.0)
    explorer = explore(space, {"push": push}, clip=clips[:1])
    explorer.set(ExplorerState(strengths=(("push", 2.0),)))
    assert explorer.wait(60)
    expected = draw([Step(push, 2.0)], edit_space(tiny_generator, "noise", **told).around(clips[:1])).video
    assert torch.equal(explorer.video, expected.clamp(-1, 1))
    codes = space.encode(clips[:1])
    torch.testing.assert_close(explorer.drawing.source(explorer.setting).here.codes, codes)
    coarse = NoiseSpace(tiny_generator, levels="sampling", **{**told, "method": "ddim"}).decode(codes)
    torch.testing.assert_close(explorer._worker._stages[0](ExplorerState()).video, coarse.clamp(-1, 1))
    explorer.export(tmp_path / "told.safetensors")
    recipe = Recipe.load(tmp_path / "told.safetensors")
    assert {name: getattr(recipe, name) for name in told} == told
    assert frame_hash(recipe.replay(tiny_generator, clips[:1]).video) == frame_hash(explorer.video)
    explorer.close()


def test_a_space_of_ones_own_and_one_around_clips_are_replayed_too(tiny_generator, clips, tmp_path):
    vector = np.random.default_rng(0).standard_normal(BottleneckSpace(tiny_generator, num_steps=2).dim)
    h = Direction("push", vector / np.linalg.norm(vector), 5.0)
    for space, push, clip in (
        (Pixels(), light()["light"], torch.zeros(1, *SHAPE)),
        (BottleneckSpace(tiny_generator, num_steps=2), h, clips[:1]),
    ):
        explorer = Explorer(space, [push], clip)
        explorer.set(ExplorerState(strengths=((push.name, 2.0),)))
        assert explorer.wait(60)
        explorer.export(tmp_path / "mine.safetensors")
        again = Recipe.load(tmp_path / "mine.safetensors").replay(space, clip)
        assert frame_hash(again.video) == frame_hash(explorer.video) != frame_hash(clip)
        explorer.close()


def test_a_direction_that_turns_with_the_code_turns_in_the_explorer():
    turning = LocalDirection("turn", light()["light"].vector, 1.0, at=lambda codes: torch.eye(1, codes.shape[1]))
    explorer = Explorer(Pixels(), [turning], torch.zeros(1, *SHAPE))
    explorer.set(ExplorerState(strengths=(("turn", 0.5),)))
    assert explorer.wait(20)
    assert float(explorer.video[0, 0, 0, 0, 0]) == 0.5
    assert float(explorer.video.abs().sum()) == 0.5
    explorer.close()


def test_a_clip_of_another_caption_and_seed(tiny_generator, clips, tmp_path):
    space = LatentSpace(tiny_generator)
    push = Direction("push", np.eye(1, space.dim)[0], 1.0)
    explorer = explore(space, {"push": push}, clip=clips[:1], caption="a red star")
    assert explorer.controls.caption.value == "a red star"
    explorer.controls.seed.value = 3
    press(explorer, "draw clip")
    assert explorer.wait(60)
    drawn = tiny_generator.generate("a red star", seed=3)
    assert torch.equal(explorer.view.source, drawn)
    assert torch.equal(explorer.clip, drawn)
    press(explorer, "own clip")
    assert explorer.wait(60)
    assert torch.equal(explorer.view.source, clips[:1])
    explorer.close()


def test_an_export_that_cannot_be_is_told(explorer, tmp_path):
    with pytest.raises(ValueError, match="ends in"):
        explorer.export(tmp_path / "bright.txt")
    press(explorer, "export recipe")
    assert "give a name first" in said(explorer)


def test_presets_travel_with_the_file(explorer, tmp_path):
    explorer.set(ExplorerState(strengths=(("light", 2.0),)))
    explorer.keep("bright")
    explorer.export(tmp_path / "mine.json")
    explorer.presets.clear()
    explorer.load(tmp_path / "mine.json")
    assert explorer.presets == {"bright": ExplorerState(strengths=(("light", 2.0),))}


def test_scrubbing_stands_still_and_the_views_differ(explorer):
    assert explorer._screen.value.count("animation: film") == 2
    explorer.controls.frame.value = 3
    assert not explorer.controls.playing.value
    assert "animation: film" not in explorer._screen.value
    explorer.controls.show.value = "edit alone"
    assert explorer._screen.value.count("role=") == 1
    explorer.controls.show.value = "with the difference"
    assert "difference" in explorer._screen.value


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"clip": torch.ones(1, *SHAPE)}, "another clip"),
        ({"other": torch.ones(1, *SHAPE)}, "another second clip"),
        ({"other": None}, "another second clip"),
        ({"directions": [replace(light()["light"], vector=-light()["light"].vector)]}, "another direction light"),
        ({"directions": [replace(light()["light"], scale=1.0)]}, "another direction light"),
        ({"directions": {"bright": light()["light"]}}, "another direction light .* None now"),
        ({"space": type("Others", (Pixels,), {})()}, "another space .Pixels then, Others now"),
    ],
)  # fmt: skip
def test_a_recipe_of_something_else_is_refused(explorer, tmp_path, changed, what):
    explorer.set(ExplorerState(strengths=(("light", 1.0),), position=0.5))
    explorer.export(tmp_path / "mine.json")
    given = {"space": Pixels(), "directions": light(), "clip": torch.zeros(1, *SHAPE), "other": explorer.drawing.other}
    same, another = Explorer(**given), Explorer(**(given | changed))
    same.load(tmp_path / "mine.json")
    assert same.setting == explorer.setting
    with pytest.raises(ValueError, match=what):
        another.load(tmp_path / "mine.json")
    assert another.setting == ExplorerState()
    for opened in (same, another):
        opened.close()


def test_what_a_recipe_does_not_use_may_differ(explorer, tmp_path):
    explorer.export(tmp_path / "mine.json")
    another = Explorer(Pixels(), [], torch.zeros(1, *SHAPE))
    another.load(tmp_path / "mine.json")
    another.close()


def test_noise_that_is_to_be_read_is_explored_in_its_own_codes_with_a_word(tiny_generator, clips):
    space = NoiseSpace(tiny_generator, num_steps=2)
    push = Direction("push", np.eye(1, space.dim)[0], 3.0)
    with pytest.warns(UserWarning, match=r'method="leapfrog".*levels for analysis: to be read'):
        explorer = explore(space, {"push": push}, clip=clips[:1])
    assert not explorer.drawing.replayable
    torch.testing.assert_close(explorer.drawing.source(explorer.setting).here.codes, space.encode(clips[:1]))
    explorer.close()


def test_a_recipe_of_another_solver_is_refused(tiny_generator, clips, tmp_path):
    push = Direction("push", np.eye(1, LatentSpace(tiny_generator).dim)[0], 3.0)
    first, second = (
        explore(NoiseSpace(tiny_generator, num_steps=2, method="leapfrog", caption=caption), [push], clip=clips[:1])
        for caption in ("a red star", "a blue star")
    )
    first.export(tmp_path / "mine.json")
    with pytest.raises(ValueError, match=r"another space's caption \(a red star then, a blue star now"):
        second.load(tmp_path / "mine.json")
    first.close()
    second.close()


@pytest.mark.parametrize("text", ["light", "[1]", '{"setting": {}}'])
def test_a_file_that_is_no_recipe_is_told(explorer, tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(ValueError, match=r"odd\.json"):
        explorer.load(tmp_path / "odd.json")


def test_usable_ranges_are_marked_on_the_sliders():
    curve = np.zeros(3)
    usable = Range(-1.5, 2.0, "hue moves", "the target saturates", curve, curve, curve, curve)
    explorer = Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), limits={"light": usable})
    slider = explorer.sliders["light"]
    assert (slider.min, slider.max) == (-1.5, 2.0)
    assert "usable from -1.5 (hue moves) to 2 (the target saturates)" in slider.tooltip
    explorer.close()
    nowhere = replace(usable, low=0.0, high=0.0)
    explorer = Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), limits={"light": nowhere})
    assert explorer.sliders["light"].disabled
    explorer.close()


def test_a_box_whose_handles_meet_stays_a_box(explorer):
    explorer.sliders["light"].value = 1.0
    for across, columns in (((0.5, 0.5), slice(8, 9)), ((1.0, 1.0), slice(15, 16))):
        explorer.controls.across.value = across
        assert explorer.wait(20)
        mask = torch.zeros(SHAPE, dtype=torch.bool)
        mask[..., columns] = True
        assert explorer.video[0][mask].min() > 0.05
        assert explorer.video[0][~mask].abs().max() < 1e-6


def test_closing_the_widget_ends_the_worker(explorer):
    explorer.widget.close()
    explorer.set(ExplorerState(position=1.0))
    assert explorer.wait(5)
    assert not explorer._worker._kept
    assert explorer.sliders["light"].comm is None
    assert "text/html" in explorer._repr_mimebundle_()


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
    assert 'role="alert"' in said(explorer)
    with pytest.raises(RuntimeError, match="could not be drawn; RuntimeError: too bright for me"):
        _ = explorer.video  # not the clip of another setting
    assert explorer._screen.value == picture
    explorer.sliders["light"].value = 1.0
    assert explorer.wait(20)
    assert explorer.video.max().item() == pytest.approx(0.1, abs=1e-5)
    explorer.close()


def test_a_page_without_a_kernel_gets_the_picture(explorer):
    explorer.set(ExplorerState(strengths=(("light", 2.0),), profile="ramp"))
    shown = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    picture = re.search(r'src="data:image/png;base64,([^"]+)" width="224" alt="edited"', shown["text/html"])
    with Image.open(io.BytesIO(base64.b64decode(picture[1]))) as played:
        assert played.n_frames == 8
    assert "style" not in shown["text/html"]  # a sanitizer would take it away


def test_places_need_codes_that_have_them():
    class Flat(Pixels):
        shape = (int(np.prod(SHAPE)),)

    explorer = Explorer(Flat(), light(), torch.zeros(1, *SHAPE))
    assert explorer.controls.brush is None
    explorer.set(ExplorerState(strengths=(("light", 1.0),), box=(0, 0, 0.5, 1)))
    assert explorer.wait(20)
    assert "Flat has none" in said(explorer)
    explorer.close()


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="one clip"):
        Explorer(Pixels(), light(), torch.zeros(2, *SHAPE))
    with pytest.raises(ValueError, match="charm"):
        Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), limits={"charm": (0, 1)})
    with pytest.raises(ValueError, match="pass clip="):
        explore(Pixels())
    for wrong in ("light", [torch.ones(3)]):
        with pytest.raises(ValueError, match="what a finder gives"):
            Explorer(Pixels(), wrong, torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match="one name"):
        Explorer(Pixels(), [*light().values()] * 2, torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match="0 between them"):
        Explorer(Pixels(), light(), torch.zeros(1, *SHAPE), limits={"light": (1, 2)})
    explorer = Explorer(Pixels(), light(), torch.zeros(1, *SHAPE))
    with pytest.raises(ValueError, match="no generator"):
        explorer.set(ExplorerState(caption="a red star"))
    with pytest.raises(KeyError, match="charm"):
        explorer.set(ExplorerState(keys=((0, (("charm", 1.0),)),)))
    explorer.close()
    with pytest.raises(ValueError, match="pass directions="):
        default_directions(Pixels(), torch.zeros(1, *SHAPE))


@pytest.mark.parametrize(
    "bad",
    [
        {"path": "walk"},
        {"position": 2.0},
        {"box": (0.5, 0, 0.2, 1)},
        {"frames": (3, 1)},
        {"keys": ((3, ()), (3, ()))},
        {"painted": ("01", "0")},
        {"painted": ("02",)},
    ],
)
def test_a_setting_out_of_range_is_told(bad):
    with pytest.raises(ValueError):
        ExplorerState(**bad)


def test_a_film_plays_or_stands():
    clip = torch.zeros(1, 3, 4, 8, 8)
    assert "animation" in film(clip)
    assert ") -512px 0 /" in film(clip, frame=2, width=256)
    with pytest.raises(ValueError, match="one clip"):
        strip(clip[0])
