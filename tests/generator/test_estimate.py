"""How near inverted noise is to the true encoding, and whether it says so: flows that are known exactly."""

from dataclasses import replace

import pytest
import torch
from oracles import Gaussian
from torch import nn

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator, GeneratorConfig
from latentlab.generator.inverted import Inverted
from latentlab.generator.levels import analysis_levels, sampling_levels
from latentlab.generator.methods import METHODS
from latentlab.generator.solver import solve
from latentlab.study.mixture import GaussianMixture

FINE = Gaussian(mean=0.3, sd=0.05)  # as fine detail is: clean until s = 0.05
MIXTURE = GaussianMixture.random(modes=6, dim=16)


class Known(Generator):
    """Latents of 16 numbers whose flow is known."""

    config = GeneratorConfig(num_frames=1, height=2, width=2, shift=3.0)
    latent_shape = (4, 1, 2, 2)

    def __init__(self, flow, ends=(1.0, 0.0)):
        self.flow, self.ends, self.parts = flow, ends, nn.ParameterList([torch.zeros(1)])

    networks = property(lambda self: [self.parts])

    def levels(self, num_steps, shape):
        high, low = self.ends
        return low + (high - low) * sampling_levels(num_steps, shift=self.config.shift)

    def encode(self, video, *, batch_size=16):
        return video

    def decode(self, latents, *, batch_size=16):
        return latents

    def condition(self, captions):
        count = 1 if isinstance(captions, str) else len(captions)
        return Condition(torch.zeros(count, 1, 1), torch.ones(count, 1, dtype=torch.bool))

    def predict(self, y, s, condition):
        return self.flow.velocity(y.flatten(1).double(), s).view_as(y).to(y)


def latents(count=6) -> torch.Tensor:
    drawn = torch.randn(count, *Known.latent_shape, generator=torch.Generator().manual_seed(1))
    return FINE.mean + FINE.sd * drawn


def away(noise: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    apart = (noise.double() - truth.double()).flatten(1).norm(dim=1)
    return apart / truth.double().flatten(1).norm(dim=1)


def test_the_default_is_near_the_true_encoding_where_the_sampler_s_levels_are_not():
    clean = latents()
    truth = FINE.flow(clean, 0.0, 1.0)
    error = {levels: away(Known(FINE).invert(clean, levels=levels).noise, truth).max() for levels in ("sampling", None)}
    assert error[None] < 0.02
    assert error["sampling"] > 5 * error[None]


@pytest.mark.parametrize("ends", [(1.0, 0.0), (0.95, 0.0), (0.9986, 0.03)])
def test_levels_for_analysis_begin_and_end_where_the_sampler_s_do(ends):
    clean = latents()
    high, low = ends
    start = (1 - low) * clean + low * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    per_unit = ((1 - low) ** 2 + low**2) ** 0.5, ((1 - high) ** 2 + high**2) ** 0.5
    truth = FINE.flow(start, low, high) / per_unit[1]
    made = Known(FINE, ends).invert(start / per_unit[0])
    assert (made.levels[0], made.levels[-1], len(made.levels)) == (low, high, 26)
    assert away(made.noise, truth).max() < 0.02


@pytest.mark.parametrize("levels", ["analysis", "sampling"])
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.order])
def test_the_estimate_is_the_error_in_closed_form(method, levels):
    clean = latents()
    truth = FINE.flow(clean, 0.0, 1.0)
    made = Known(FINE).invert(clean, method=method, levels=levels, num_steps=50, estimate=True)
    told = torch.tensor(made.estimate.error, dtype=torch.float64)
    ratio = told / away(made.noise, truth)
    assert ratio.shape == (6,)
    assert 1 / 3 < ratio.min() <= ratio.max() < 3


@pytest.fixture(scope="module")
def of_mixture() -> tuple[torch.Tensor, torch.Tensor]:
    """Data, and where the flow carries them."""
    clean = MIXTURE.draw(6, seed=1)
    return clean, solve(MIXTURE.velocity, clean, analysis_levels(400).flip(0), method="midpoint")


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.order])
def test_the_estimate_is_the_error_of_a_mixture(method, of_mixture):
    clean, truth = of_mixture
    start = clean.view(6, *Known.latent_shape).float()
    made = Known(MIXTURE).invert(start, method=method, levels="analysis", estimate=True)
    ratio = torch.tensor(made.estimate.error, dtype=torch.float64) / away(made.noise.flatten(1), truth)
    assert 1 / 2 < ratio.min() <= ratio.max() < 2


@pytest.mark.parametrize(("method", "calls"), [("ddim", 20), ("midpoint", 40), ("leapfrog", 20)])
def test_its_calls_are_counted_apart_and_the_noise_is_the_same(method, calls):
    asked, known = [], Known(FINE)
    plain = known.invert(latents(), method=method, num_steps=10)
    predict = known.predict
    known.predict = lambda y, s, condition: asked.append(s) or predict(y, s, condition)
    made = known.invert(latents(), method=method, num_steps=10, estimate=True, batch_size=3)
    assert made.estimate.calls == calls
    assert len(asked) == 2 * (calls // 2 + calls)  # two batches
    torch.testing.assert_close(made.noise, plain.noise)
    assert str(calls) in repr(made)
    assert "true encoding" in repr(made)
    assert "estimate" not in repr(plain)


@pytest.mark.parametrize(("method", "why"), [("edict", "drift apart"), ("ddpm", "is drawn")])
def test_methods_that_do_not_converge_have_no_estimate(method, why):
    with pytest.raises(ValueError, match=f"no estimate of '{method}'.*{why}.*ddim"):
        Known(FINE).invert(latents(), method=method, num_steps=2, estimate=True)


def test_more_steps_of_edict_are_no_nearer():
    """Which is why it has no estimate."""
    truth = FINE.flow(latents(), 0.0, 1.0)
    error = [away(Known(FINE).invert(latents(), method="edict", num_steps=n).noise, truth).max() for n in (25, 100)]
    assert error[1] > error[0]


def test_it_goes_with_its_clips_and_to_the_disk(tmp_path):
    made = Known(FINE).invert(latents(), num_steps=4, estimate=True)
    made[1:3].save(tmp_path / "some.safetensors")
    again = Inverted.load(tmp_path / "some.safetensors")
    assert again.estimate == replace(made.estimate, error=made.estimate.error[1:3])
    assert again.levels_for == made.levels_for == "analysis"
    assert made.moved(torch.ones_like(made.noise)).estimate is None


# ------------------------------------------------------------------------------------------------- what levels are for
@pytest.mark.parametrize(
    ("method", "levels"),
    [("midpoint", "analysis"), ("ddim", "analysis"), ("heun", "analysis"), ("leapfrog", "sampling"),
     ("edict", "sampling"), ("ddpm", "sampling"), ("implicit-midpoint", "sampling"), ("ddim+anderson", "sampling")],
)  # fmt: skip
def test_a_method_has_the_levels_that_it_is_for(method, levels):
    made = Known(FINE).invert(latents(), method=method, num_steps=3)
    assert made.levels_for == levels
    assert f"levels for {levels}" in repr(made)


@pytest.mark.parametrize(("method", "bound"), [("leapfrog", 0.0), ("heun", 1e-2)])
def test_noise_is_sampled_down_the_levels_that_it_came_up(method, bound):
    known, asked = Known(FINE), []
    made = known.invert(latents(), method=method, levels="analysis", num_steps=20)
    known.sample(made, callback=lambda step, level, y: asked.append(level))
    assert asked == list(made.levels[-2::-1])
    back = known.sample(made, num_steps=20, levels="analysis")
    assert away(back, latents()).max() <= bound
    with pytest.raises(ValueError, match=r"levels_for was 'analysis', is 'sampling'.* pass its \.noise"):
        known.sample(made, levels="sampling")
    torch.testing.assert_close(
        known.sample(made.noise, num_steps=20, method="heun", levels="analysis"), latents(), atol=0.02, rtol=0
    )


def test_there_are_two_kinds_of_levels():
    for call in (Known(FINE).invert, Known(FINE).sample):
        with pytest.raises(ValueError, match="levels are for 'sampling' or 'analysis', got 'karras'"):
            call(latents(), levels="karras")
