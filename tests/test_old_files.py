"""What version 0.1.0 wrote is read: the weights of a tiny model, and inverted latents, directions and recipes of it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latentlab import Inverted, Recipe, load
from latentlab.directions.files import load_directions

OLD = Path(__file__).parent / "made_by_0_1_0"  # at revision f319992


@pytest.fixture(scope="module")
def generator():
    return load(OLD / "generator", device="cpu")


@pytest.fixture
def clip():
    return torch.linspace(-1, 1, 3 * 4 * 16 * 16).reshape(1, 3, 4, 16, 16).sin()


@pytest.mark.parametrize("method", ["leapfrog", "edict"])
def test_an_inverted_latent_gives_the_clip_back(generator, clip, method):
    inverted = Inverted.load(OLD / f"{method}.safetensors")
    assert (inverted.method, inverted.levels_for, inverted.weights) == (method, "sampling", generator.fingerprint())
    # The way back grows what another processor rounds otherwise in the network, a millionth, some tenfold.
    torch.testing.assert_close(generator.sample(inverted), generator.encode(clip), atol=2e-4, rtol=0)


@pytest.mark.parametrize("space", ["latent", "noise", "h-space"])
def test_a_recipe_makes_the_same_frames(generator, clip, space):
    recipe = Recipe.load(OLD / f"recipe_{space}.safetensors")
    assert recipe.lines() == ["light +1 sd"]
    again = recipe.apply(generator, clip)
    assert (again.recipe.source, again.recipe.weights) == (recipe.source, recipe.weights)
    made = load_file(OLD / "frames.safetensors")[space].float()
    assert float((made - again.unedited).abs().max()) > 1e-3
    torch.testing.assert_close(again.video, made, atol=2e-3, rtol=0)  # they are kept in half precision


def test_directions_are_read():
    found = load_directions(OLD / "directions.safetensors")
    assert found.names == ("light", "hue@90")
    assert float(found["light"].scale) == pytest.approx(1.5)
