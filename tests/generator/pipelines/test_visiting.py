"""Schedulers that visit one level, in the place of a pipeline's own: nothing of the real one may change."""

import copy

import pytest
import torch

pytest.importorskip("diffusers")

import diffusers

from latentlab.generator.pipelines.call import _by_steps
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.layout import Layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.visit import Halt, Visit
from latentlab.generator.pipelines.visiting import visiting

SCHEDULERS = {
    "DDIMScheduler": {"clip_sample": False},
    "CogVideoXDDIMScheduler": {"clip_sample": False},
    "DPMSolverMultistepScheduler": {},
    "DPMSolverSinglestepScheduler": {},
    "DEISMultistepScheduler": {},
    "UniPCMultistepScheduler": {"use_flow_sigmas": True, "prediction_type": "flow_prediction"},
    "EDMEulerScheduler": {},
    "EDMDPMSolverMultistepScheduler": {},
    "EulerDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "LMSDiscreteScheduler": {},
    "PNDMScheduler": {},
    "IPNDMScheduler": {},
    "KDPM2DiscreteScheduler": {},
    "FlowMatchEulerDiscreteScheduler": {"shift": 3.0},
    "FlowMatchHeunDiscreteScheduler": {},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of numpy, inside diffusers
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_is_not_written_into_by_its_copy(name):
    """All that it holds, tensors by their bits, before and after its copy is set twice."""
    real = getattr(diffusers, name)(**SCHEDULERS[name])
    before = copy.deepcopy(vars(real))
    for steps in (4, 7):
        own = visiting(real, Visit(time=(300.0, 0.3)))
        own.set_timesteps(steps)
        assert own.timesteps.tolist() == [300.0]
        with pytest.raises(Halt):
            own.step(torch.zeros(1), 300.0, torch.ones(1), pred_original_sample=torch.ones(1))
    assert vars(real).keys() == before.keys()
    assert _same(before, vars(real))


def test_a_scheduler_without_a_deterministic_one_is_refused_without_a_false_remedy():
    with pytest.raises(ValueError, match="adds noise or clips; diffusers has no deterministic one"):
        Path.of(diffusers.DDPMWuerstchenScheduler())


def test_a_flow_map_has_no_velocity_at_a_level():
    with pytest.raises(ValueError, match="FlowMapEulerDiscreteScheduler is for a flow map"):
        Path.of(diffusers.FlowMapEulerDiscreteScheduler())


def test_a_guider_that_goes_by_the_steps_before_says_which_setting_does():
    assert _by_steps(diffusers.ClassifierFreeGuidance(guidance_scale=3.0)) == ""
    assert _by_steps(diffusers.ClassifierFreeGuidance(stop=0.5)) == "stop=0.5"
    assert "momentum=" in _by_steps(diffusers.AdaptiveProjectedMixGuidance())


def test_an_autoencoder_without_encoder_is_refused():
    kind = pytest.importorskip("diffusers.pipelines.deprecated.wuerstchen").PaellaVQModel
    with pytest.raises(ValueError, match="PaellaVQModel has no encoder"):
        Coder(kind(bottleneck_blocks=1, embed_dim=4, num_vq_embeddings=8))


def _same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool((a == b).all()) if hasattr(a, "shape") else a == b or a is b or type(a) is type(b)


def test_latents_lie_where_they_came_from_and_what_has_none_stays():
    """A permutation of six states there and back, and one in which a state has no latent and a latent is held."""
    where = torch.tensor([3, 1, 4, 0, 5, 2]).reshape(1, 1, 2, 3)
    nothing, one = torch.zeros(1, 1, 2, 3), torch.ones(1, 1, 2, 3)
    whole = Layout((1, 6), (1, 6), where, where, nothing, one, images=False)
    y = torch.arange(12.0).reshape(2, 1, 1, 2, 3)
    states = whole.placed(y, torch.full((2, 6), -7.0))
    assert states[0].tolist() == [3.0, 1.0, 5.0, 0.0, 2.0, 4.0]
    assert torch.equal(whole.latents(states, 2), y)

    held = torch.tensor([3, 1, 4, 0, -1, 2]).reshape(1, 1, 2, 3)
    some = Layout((1, 6), (1, 6), held, held, nothing, one, images=False)
    states = some.placed(y, torch.full((2, 6), -7.0))
    assert states[:, 5].tolist() == [-7.0, -7.0]
    assert torch.equal(some.latents(states, 2), torch.where(held < 0, 0.0, y))
