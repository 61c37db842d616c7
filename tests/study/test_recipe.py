"""Recipes replay to the same frames, and say why when they cannot."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from latentlab import EDIT
from latentlab.directions import Direction, LocalDirection, Normal, edit
from latentlab.generator.vector_vae import VectorVAE, VectorVAEConfig
from latentlab.record import frame_hash
from latentlab.spaces import (
    BottleneckSpace,
    Cached,
    Components,
    LatentSpace,
    NoiseSpace,
    Places,
    TextSpace,
    VectorSpace,
)
from latentlab.study.edit_space import edit_space
from latentlab.study.recipe import Recipe
from latentlab.study.steps import Step, draw
from latentlab.tensors import read_tensors, write_tensors

DIMS = 2 * 4 * 2 * 2
STEP = {"strength": 1.0, "profile": "ramp", "direction": {"name": "a", "scale": 1.0}, "preserve": []}  # in a file


def direction(name: str, seed: int = 0) -> Direction:
    vector = np.random.default_rng(seed).standard_normal(DIMS)
    return Direction(name, vector / np.linalg.norm(vector), 1.7)


def normal(name: str, seed: int) -> Normal:
    return Normal(name, direction(name, seed).vector)


def recipe(space: str) -> Recipe:
    mask = torch.zeros(1, 1, 4, 16, 16)
    mask[..., :8] = 1
    steps = (
        Step(direction("light"), 1.5, "ramp", mask, (normal("size", 1), normal("speed", 2))),
        Step(direction("hue@90", 3), -0.7, (1.0, 0.0, 0.5, 0.25)),
    )
    return Recipe(space, steps, num_steps=3)


@pytest.mark.parametrize("space", ["latent", "noise"])
def test_a_saved_recipe_replays_to_the_same_frames(tiny_generator, clips, space, tmp_path):
    edited = recipe(space).apply(tiny_generator, clips)
    assert frame_hash(edited.video) == edited.recipe.frames != frame_hash(clips)
    edited.recipe.save(tmp_path / "edit.safetensors")
    loaded = Recipe.load(tmp_path / "edit.safetensors")
    again = loaded.replay(tiny_generator, clips)
    assert torch.equal(again.video, edited.video)
    assert loaded.lines() == ["light +1.5 sd, ramp, masked, keeping size, speed", "hue@90 -0.7 sd, by frame"]
    assert not list(tmp_path.glob(".latentlab-*"))


def test_a_recipe_says_at_which_levels_activations_move(tiny_generator, clips, tmp_path):
    dim = BottleneckSpace(tiny_generator, num_steps=3).dim
    push = Direction("push", np.eye(1, dim)[0], 1.0)
    all_the_way = Recipe("h-space", (Step(push, 20.0),), num_steps=3)
    above = replace(all_the_way, levels=(0.5, 1.0))
    edited = above.apply(tiny_generator, clips)
    assert not torch.equal(edited.video, all_the_way.apply(tiny_generator, clips).video)
    edited.recipe.save(tmp_path / "r.safetensors")
    again = Recipe.load(tmp_path / "r.safetensors")
    assert again.levels == (0.5, 1.0)
    assert torch.equal(again.replay(tiny_generator, clips).video, edited.video)


@pytest.mark.parametrize("kind", ["words", "condition"])
def test_a_recipe_under_a_caption_and_guidance_replays(tiny_generator, clips, kind, tmp_path):
    caption = "a red star" if kind == "words" else tiny_generator.condition(["a red star", "a star", "a blue star"])
    made = replace(recipe("noise"), caption=caption, guidance=1.5)
    edited = made.apply(tiny_generator, clips)
    assert (edited.video - recipe("noise").apply(tiny_generator, clips).video).abs().max() > 1e-4
    edited.recipe.save(tmp_path / "edit.safetensors")
    again = Recipe.load(tmp_path / "edit.safetensors").replay(tiny_generator, clips)
    assert torch.equal(again.video, edited.video)
    here = edit_space(tiny_generator, "noise", num_steps=3, caption=caption, guidance=1.5).around(clips)
    torch.testing.assert_close(here.unedited, tiny_generator.decode(tiny_generator.encode(clips)))


@pytest.mark.parametrize("space", ["latent", "noise"])
def test_no_strength_is_the_round_trip_and_its_loss_is_told(tiny_generator, clips, space):
    edited = Recipe(space, (Step(direction("light"), 0.0),), num_steps=3).apply(tiny_generator, clips)
    decoded = tiny_generator.decode(tiny_generator.encode(clips))
    torch.testing.assert_close(edited.video, decoded, atol=2e-5, rtol=0)
    error = (decoded - clips).double().pow(2).flatten(1).mean(1)
    assert edited.floor_psnr == pytest.approx(float((10 * torch.log10(4 / error)).mean()), abs=0.02)


def test_an_edit_in_h_space_is_written_down_too(tiny_generator, clips, tmp_path):
    here = edit_space(tiny_generator, "h-space", num_steps=3).around(clips)
    vector = np.random.default_rng(0).standard_normal(here.codes.shape[1])
    push = Direction("push", vector / np.linalg.norm(vector), 3.0)
    edited = Recipe("h-space", (Step(push, 2.0),), num_steps=3).apply(tiny_generator, clips)
    assert torch.equal(edited.video, draw([Step(push, 2.0)], here).video)
    decoded = tiny_generator.decode(tiny_generator.encode(clips))
    assert (edited.video - decoded).abs().max() > 1e-4
    torch.testing.assert_close(here.unedited, decoded, atol=2e-4, rtol=0)
    edited.recipe.save(tmp_path / "edit.safetensors")
    again = Recipe.load(tmp_path / "edit.safetensors").replay(tiny_generator, clips)
    assert torch.equal(again.video, edited.video)


def test_steps_add_up(tiny_generator, clips):
    one = Recipe("latent", (Step(direction("light"), 1.0), Step(direction("light"), 0.5)))
    two = Recipe("latent", (Step(direction("light"), 1.5),))
    torch.testing.assert_close(one.apply(tiny_generator, clips).video, two.apply(tiny_generator, clips).video)


def test_an_edit_in_noise_is_sampled_along_the_way_the_clip_came(tiny_generator, clips):
    here = edit_space(tiny_generator, "noise", num_steps=3).around(clips)
    inverted = tiny_generator.invert(tiny_generator.encode(clips), sampler=EDIT, num_steps=3)
    assert inverted.exact
    assert torch.equal(here.codes, inverted.noise.flatten(1))
    by = (edit(here.codes, direction("light"), 2.0) - here.codes).view_as(inverted.noise)
    expected = tiny_generator.decode(tiny_generator.sample(inverted.moved(by)))
    assert torch.equal(draw([Step(direction("light"), 2.0)], here).video, expected)


@pytest.mark.parametrize("kind", ["latent", "noise", "h-space"])
@pytest.mark.parametrize("method", ["leapfrog", "midpoint"])
def test_directions_are_found_in_the_codes_that_they_move(tiny_generator, clips, kind, method):
    """Under the same steps, method, levels, caption and guidance: a standard deviation of others is another one."""
    way = {"num_steps": 3, "method": method, "caption": "a red star", "guidance": 1.5}
    space = edit_space(tiny_generator, kind, **way)
    torch.testing.assert_close(space.encode(clips), space.around(clips).codes)
    if kind == "noise":
        assert space.levels == "sampling"


def test_what_cannot_be_replayed_says_why(tiny_generator, clips):
    with pytest.raises(ValueError, match="never applied"):
        recipe("latent").replay(tiny_generator, clips)
    made = recipe("latent").apply(tiny_generator, clips).recipe
    with pytest.raises(ValueError, match="another clip than the recipe was made with"):
        made.replay(tiny_generator, -clips)
    with torch.no_grad():
        next(tiny_generator.modules[0].parameters()).add_(0.5)
    with pytest.raises(ValueError, match="another model than the recipe was made with"):
        made.replay(tiny_generator, clips)


def test_frames_that_came_out_differently_are_told(tiny_generator, clips):
    made = recipe("latent").apply(tiny_generator, clips).recipe
    others = replace(made, frames="0" * 64, means=made.means + 3)
    with pytest.raises(ValueError, match="differ from those of the recipe by 3 of 255 levels at most"):
        others.replay(tiny_generator, clips)
    with pytest.raises(ValueError, match="an older version does not say"):
        replace(others, means=None).replay(tiny_generator, clips)


def test_frames_that_differ_by_rounding_are_a_warning_that_says_what_made_them(tiny_generator, clips, tmp_path):
    made = replace(recipe("latent").apply(tiny_generator, clips).recipe, frames="0" * 64, threads=7)
    replace(made, means=made.means + 0.02).save(tmp_path / "edit.safetensors")
    now = torch.get_num_threads()
    said = rf"by 0\.02 of 255 levels .* \(made on cpu with 7 threads and PyTorch .*, now on cpu with {now} thread"
    with pytest.warns(UserWarning, match=said):
        again = Recipe.load(tmp_path / "edit.safetensors").replay(tiny_generator, clips)
    assert again.recipe.frames != made.frames


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(FileNotFoundError, match="no recipe at"):
        Recipe.load(tmp_path / "none.safetensors")
    (tmp_path / "text").write_text("steps: []")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        Recipe.load(tmp_path / "text")
    save_file({"x": torch.zeros(1)}, tmp_path / "other", {"recipe": json.dumps({"format": 99})})
    save_file({"x": torch.zeros(1)}, tmp_path / "list", {"recipe": "[]"})
    for name in ("other", "list"):
        with pytest.raises(ValueError, match=r"not written by Recipe\.save"):
            Recipe.load(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": 3}, "its space is 3"),
        ({"caption": 3}, "its caption is 3"),
        ({"caption": None}, "it lacks 'tokens'"),
        ({"source": 12}, "its source is 12"),
        ({"steps": {"a": 1}}, "write it again"),
        ({"steps": "all"}, "write it again"),
        ({"steps": [{}]}, "it lacks"),
        ({"steps": [STEP | {"profile": 3}]}, "not iterable"),
        ({"steps": [STEP | {"direction": {"name": "a", "scale": "b"}}]}, "could not convert string to float: 'b'"),
        ({"steps": [STEP | {"preserve": ["a", "b", "c"]}]}, r"it lacks '0\.preserve\.2'"),
    ],
)
def test_a_recipe_that_says_nonsense_names_it(change, said, tmp_path):
    recipe("latent").save(tmp_path / "whole")
    tensors, header = read_tensors(tmp_path / "whole", "recipe", "recipe")
    write_tensors(tmp_path / "changed", "recipe", header | change, tensors)
    with pytest.raises(ValueError, match=f"changed is no whole recipe: .*{said}"):
        Recipe.load(tmp_path / "changed")


def test_an_unknown_space_is_named(tiny_generator, clips):
    with pytest.raises(ValueError, match="no space 'pixels' to edit in; there are latent, noise, h-space"):
        recipe("pixels").apply(tiny_generator, clips)


def spaces(generator):
    """One of every kind of space that a generator's own names do not say."""
    vae = VectorVAE(VectorVAEConfig(dims=4, size=(16, 16), width=8, hidden=16))
    latent = LatentSpace(generator)
    wide = torch.randn(6, latent.dim, generator=torch.Generator().manual_seed(1))
    return {
        "vector": VectorSpace(vae.eval(), num_frames=4),
        "text": TextSpace(generator, describe=lambda video: ["a red star"] * len(video), num_steps=2),
        "h-space by level": BottleneckSpace(generator, layer="down.0.0", num_steps=2, per_level=True),
        "noise": NoiseSpace(generator, num_steps=2),
        "channel": Places(latent, "channel", [1]),
        "components": Components(latent, wide, 3),
        "cached": Cached(latent),
    }


@pytest.mark.parametrize("kind", ["vector", "text", "h-space by level", "noise", "channel", "components", "cached"])
def test_a_recipe_of_any_space_replays_to_the_same_frames(tiny_generator, clips, tmp_path, kind):
    space = spaces(tiny_generator)[kind]
    vector = np.random.default_rng(0).standard_normal(space.dim)
    push = Direction("push", vector / np.linalg.norm(vector), 3.0)
    edited = Recipe.of(space, (Step(push, 2.0),)).apply(space, clips)
    here = space.around(clips)
    assert torch.equal(edited.video, here.decode(edit(here.codes, push, 2.0)))
    assert (edited.video - here.unedited).abs().max() > 1e-4
    edited.recipe.save(tmp_path / "edit.safetensors")
    loaded = Recipe.load(tmp_path / "edit.safetensors")
    assert loaded.place == edited.space == space.describe()["space"]
    assert torch.equal(loaded.replay(space, clips).video, edited.video)
    with pytest.raises(ValueError, match=f"it takes a {loaded.place}, got NativeGenerator"):
        loaded.replay(tiny_generator, clips)


def test_a_recipe_of_another_space_says_what_differs(tiny_generator, clips):
    few, many = (NoiseSpace(tiny_generator, num_steps=n) for n in (2, 3))
    made = Recipe.of(few, (Step(direction("light"), 1.0),)).apply(few, clips).recipe
    with pytest.raises(ValueError, match=r"another space than the recipe was made for: num_steps \(2 then, 3 now\)"):
        made.replay(many, clips)
    with pytest.raises(ValueError, match="edits in latent; it takes the generator, not a space of it, got NoiseSpace"):
        recipe("latent").apply(few, clips)


def test_axes_of_a_layer_are_not_taken_for_frames(tiny_generator, clips):
    space = BottleneckSpace(tiny_generator, num_steps=2)
    assert len(space.shape) == 4
    push = Direction("push", np.eye(1, space.dim)[0], 1.0)
    for made, model in ((Recipe("h-space", ()), tiny_generator), (Recipe.of(space, ()), space)):
        with pytest.raises(ValueError, match="codes of other spaces move as a whole"):
            replace(made, num_steps=2, steps=(Step(push, 1.0, "ramp"),)).apply(model, clips)


def test_a_direction_that_turns_is_not_written_down(tiny_generator, clips, tmp_path):
    turning = LocalDirection(
        "turn", direction("turn").vector, 1.0, at=lambda codes: torch.nn.functional.normalize(codes)
    )
    made = Recipe("latent", (Step(turning, 1.0),)).apply(tiny_generator, clips).recipe
    with pytest.raises(ValueError, match="'turn' turns with the code"):
        made.save(tmp_path / "edit.safetensors")
