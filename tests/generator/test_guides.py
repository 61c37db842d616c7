"""Guides: descent against the closed form; exact, batched and graphed runs under them; what is refused."""

import importlib
import math
import sys

import pytest
import torch
from generator.test_graph import Repeats

from latentlab.generator.guides import Descent, Guide, steered
from latentlab.generator.inverted import Inverted
from latentlab.generator.solver import solve
from latentlab.spaces.text import CaptionPull
from latentlab.tensors import tensor_digest


def test_a_quadratic_energy_adds_a_pull_that_is_known():
    """v = 0 and E = k |x|^2 / 2 give dy/ds = k y: from 1 at s = 1 to exp(-k)."""
    start, levels = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64), torch.linspace(1, 0, 201)
    field = steered(lambda y, s: torch.zeros_like(y), lambda x: 0.5 * x.square().sum(), 2.0)
    assert solve(field, start, levels, method="midpoint").item() == pytest.approx(math.exp(-2), rel=1e-4)


def test_the_gradient_stops_at_the_estimate():
    calls = []

    def velocity(y, s):
        calls.append(torch.is_grad_enabled())
        return y

    with torch.no_grad():
        steered(velocity, lambda x: x.sum(), 1.0)(torch.ones(2, 1, 1, 1, 1), 0.5)
    assert calls == [False]


def test_what_is_no_energy_is_told():
    y = torch.ones(2, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"one number.*\(2,\)"):
        steered(lambda y, s: y, lambda x: x.flatten(1).sum(1), 1.0)(y, 0.5)
    with pytest.raises(ValueError, match="without a gradient"):
        steered(lambda y, s: y, lambda x: torch.tensor(1.0), 1.0)(y, 0.5)


class Towards(Guide):
    """Adds for each clip a pull of its own towards what is known of it, with or without a gradient of the network."""

    def __init__(self, known, weight=0.3, through=False):
        self.known, self.weight, self.through = known, weight, through

    def __call__(self, velocity, condition):
        known = condition.more["known"]
        assert known.device == condition.tokens.device

        def field(y, s):
            if not self.through:
                return velocity(y, s) + self.weight * (y - known.to(y))
            with torch.enable_grad():
                y = y.detach().requires_grad_()
                v = velocity(y, s)
                (slope,) = torch.autograd.grad((y - s * v - known.to(y)).square().sum(), y)
            return v.detach() + self.weight * slope

        return field

    def settings(self):
        return {"guide": "towards", "weight": self.weight, "known": tensor_digest(self.known)}

    def tensors(self):
        return {"known": self.known}


@pytest.fixture
def known():
    return torch.randn(3, 2, 4, 2, 2, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_each_clip_meets_its_own_row_of_what_a_guide_knows(tiny_generator, known, batch_size):
    noise, options = tiny_generator.noise(3), {"num_steps": 3, "batch_size": batch_size, "guidance": 2.0}
    together = tiny_generator.guided(Towards(known)).sample(noise, "a red star", **options)
    for i in range(3):
        alone = tiny_generator.guided(Towards(known[i : i + 1])).sample(noise[i : i + 1], "a red star", **options)
        # Batches of another size round otherwise; rows of another clip are off by far more.
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)
    assert (together - tiny_generator.sample(noise, "a red star", **options)).abs().max() > 0.01


@pytest.mark.parametrize("through", [False, True])
def test_a_clip_comes_back_bit_for_bit_under_guides(tiny_generator, clips, known, through):
    pull = CaptionPull(tiny_generator, ("a red star", "a blue star"), 1.0)
    steady = Descent(lambda x: tiny_generator.autoencoder.decode(x).square().sum(), 0.1, name="dark")
    guided = tiny_generator.guided(pull, steady, Towards(known, through=through))
    latents = guided.encode(clips)
    inverted = guided.invert(latents, "a star", num_steps=5, method="leapfrog", batch_size=2)
    free = tiny_generator.invert(latents, "a star", num_steps=5, method="leapfrog", batch_size=2)
    assert inverted.exact
    assert (inverted.noise - free.noise).abs().max() > 0.01
    assert torch.equal(guided.sample(inverted), latents)


def test_what_was_inverted_under_guides_wants_them_again_and_takes_more(tiny_generator, clips, known, tmp_path):
    latents, towards = tiny_generator.encode(clips), Towards(known)
    guided = tiny_generator.guided(towards)
    guided.invert(latents, num_steps=2, method="leapfrog").save(tmp_path / "noise.safetensors")
    inverted = Inverted.load(tmp_path / "noise.safetensors")
    assert list(inverted.guides) == [towards.settings()]
    assert torch.equal(guided.sample(inverted), latents)
    for other in (tiny_generator, tiny_generator.guided(Towards(known, 0.4))):
        with pytest.raises(ValueError, match=r'inverted under guides .*"weight": 0\.3'):
            other.sample(inverted)
    edited = guided.guided(Towards(-known)).sample(inverted)
    assert (edited - latents).abs().max() > 0.01
    plain = tiny_generator.invert(latents, num_steps=2, method="leapfrog")
    assert (guided.sample(plain) - latents).abs().max() > 0.01


def test_settings_and_fingerprint_name_the_guides_and_the_generator_stays(tiny_generator, known):
    before = tiny_generator.fingerprint()
    guided = tiny_generator.guided(Towards(known)).guided(Towards(known, 0.5))
    assert [guide["weight"] for guide in guided.settings()["guides"]] == [0.3, 0.5]
    prints = {before, guided.fingerprint(), tiny_generator.guided(Towards(known)).fingerprint()}
    assert len(prints) == 3
    assert tiny_generator.guides == ()
    assert tiny_generator.fingerprint() == before == guided.unguided.fingerprint()


def test_graphs_take_new_values_of_what_a_guide_knows(tiny_generator, known):
    class Unnamed(Towards):
        def settings(self):
            return {"guide": "towards"}

    noise = tiny_generator.noise(3)
    plain = [tiny_generator.guided(Unnamed(rows)).sample(noise, num_steps=2) for rows in (known, -known)]
    tiny_generator.graphs = Repeats()
    again = [tiny_generator.guided(Unnamed(rows)).sample(noise, num_steps=2) for rows in (known, -known)]
    assert tiny_generator.graphs.recorded == 1
    torch.testing.assert_close(again, plain)


def test_what_is_no_guide_or_is_of_other_clips_is_told(tiny_generator, known):
    with pytest.raises(TypeError, match="got function"):
        tiny_generator.guided(lambda velocity, condition: velocity)
    with pytest.raises(ValueError, match=r"Towards holds 'known' of 3 clips, and these are 2"):
        tiny_generator.guided(Towards(known)).sample(tiny_generator.noise(2), num_steps=1)


def test_the_old_module_warns_and_works():
    sys.modules.pop("latentlab.generator.steer", None)
    with pytest.warns(DeprecationWarning, match="latentlab.generator.guides"):
        steer = importlib.import_module("latentlab.generator.steer")
    assert steer.steered is steered
