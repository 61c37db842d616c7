"""Levels and timesteps of diffusers' schedulers in flow time, and which schedulers are refused."""

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

import diffusers

from latentlab.generator.pipelines.schedule import (
    check_invertible,
    diffusion_levels,
    diffusion_time,
    diffusion_velocity,
    flow_levels,
    preserving,
    probed,
)

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def table(scheduler) -> np.ndarray:
    """s = sigma / (alpha + sigma) at every training timestep, the long way round."""
    alpha, sigma = np.sqrt(scheduler.alphas_cumprod.numpy()), np.sqrt(1 - scheduler.alphas_cumprod.numpy())
    return sigma / (alpha + sigma)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("num_steps", [1, 6, 25])
def test_every_step_ends_where_the_next_call_is(spacing, num_steps):
    scheduler = diffusers.DDIMScheduler(**SD, clip_sample=False, timestep_spacing=spacing, set_alpha_to_one=False)
    levels = diffusion_levels(scheduler, num_steps)
    scheduler.set_timesteps(num_steps)
    expected = table(scheduler)[[*scheduler.timesteps.tolist(), 0]]
    np.testing.assert_allclose(levels, expected[: len(levels)], atol=1e-6)
    time = diffusion_time(scheduler)
    assert [time(s) for s in levels.tolist()[:-1]] == scheduler.timesteps.tolist()[: len(levels) - 1]


def test_the_first_to_ask_may_be_a_jacobian():
    """Inside torch.func no tensor becomes an array."""
    first, later = (diffusers.DDIMScheduler(**SD) for _ in range(2))
    x = torch.ones(2)
    _, slope = torch.func.jvp(lambda x: diffusion_time(first)(0.4) * x, (x,), (x,))
    assert slope.tolist() == pytest.approx([diffusion_time(later)(0.4)] * 2)


def test_a_schedule_up_to_zero_signal_reaches_one():
    scheduler = diffusers.CogVideoXDDIMScheduler(
        **SD,
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
        clip_sample=False,
    )
    levels = diffusion_levels(scheduler, 25)
    assert (levels[0], levels[-1]) == (1, 0)


def test_sigmas_and_alphas_are_the_same_levels():
    settings = {**SD, "timestep_spacing": "leading", "steps_offset": 1}
    ddim = diffusion_levels(diffusers.DDIMScheduler(**settings, clip_sample=False), 10)
    for kind in (diffusers.EulerDiscreteScheduler, diffusers.DPMSolverMultistepScheduler):
        scheduler = kind(**settings)
        check_invertible(scheduler)
        own = diffusion_levels(scheduler, 10)
        assert (own.diff() < 0).all()
        assert own[-1] == 0
    np.testing.assert_allclose(
        diffusion_levels(diffusers.EulerDiscreteScheduler(**settings), 10)[:-1], ddim[:-1], atol=1e-5
    )


def test_multistep_schedulers_of_flow_give_their_levels():
    unipc = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000
    )
    check_invertible(unipc, flow=True)
    levels = flow_levels(unipc, 20)
    u = torch.linspace(1, 0.001, 21, dtype=torch.float64)[:-1]
    np.testing.assert_allclose(levels[:-1], 3 * u / (1 + 2 * u), atol=2e-6)
    assert levels[-1] == 0


@pytest.mark.parametrize(
    ("scheduler", "shift"),
    [
        (diffusers.DPMSolverMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0), {"shift": 3.0}),
        (diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0), {"shift": 3.0}),
        (diffusers.UniPCMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0), {"shift": 3.0}),
        (diffusers.DPMSolverMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", use_dynamic_shifting=True,
            time_shift_type="exponential"), {"use_dynamic_shifting": True}),
    ],
    ids=["dpm", "heun", "unipc", "dpm, by size"],
)  # fmt: skip
def test_sigmas_that_a_family_asks_for_are_shifted_whoever_takes_them(scheduler, shift):
    sigmas = np.linspace(1.0, 0.1, 10)
    euler = flow_levels(diffusers.FlowMatchEulerDiscreteScheduler(**shift), 10, sigmas=sigmas, mu=0.7)
    np.testing.assert_allclose(flow_levels(scheduler, 10, sigmas=sigmas, mu=0.7), euler, atol=2e-6)


def test_a_last_step_that_stays_where_it_is_is_none():
    scheduler = diffusers.DDIMScheduler(**SD, clip_sample=False, timestep_spacing="linspace", set_alpha_to_one=False)
    assert len(diffusion_levels(scheduler, 6)) == 6


def test_levels_that_do_not_fall_once_a_step_are_an_error():
    for kind in (diffusers.PNDMScheduler, diffusers.DDIMInverseScheduler):
        own = kind.from_config(kind(**SD).config, clip_sample=False)
        with pytest.raises(ValueError, match=rf"levels of {kind.__name__} do not fall once in each of 6 steps"):
            diffusion_levels(own, 6)


def test_where_a_prediction_leaves_the_velocity_open_it_says_so():
    y = torch.ones(1)
    with pytest.raises(ValueError, match=r"'epsilon' leaves the velocity open at flow time 1\.0: .*zero_snr=False"):
        diffusion_velocity(y, y, 1.0, "epsilon")
    with pytest.raises(ValueError, match=r"'sample' leaves the velocity open at flow time 0\.0: .*to_one=False"):
        diffusion_velocity(y, y, 0.0, "sample")
    ending = diffusers.DDIMScheduler(
        **SD, clip_sample=False, prediction_type="sample", set_alpha_to_one=False, steps_offset=1
    )
    assert diffusion_velocity(y, y, float(diffusion_levels(ending, 6)[-1]), "sample").isfinite()


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("s", [0.02, 0.5, 0.97])
def test_every_prediction_is_the_same_velocity(prediction, s):
    clean, noise = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = (1 - s) * clean + s * noise
    alpha, sigma = (1 - s) / np.hypot(1 - s, s), s / np.hypot(1 - s, s)
    raw = {"epsilon": noise, "sample": clean, "v_prediction": alpha * noise - sigma * clean}[prediction]
    torch.testing.assert_close(diffusion_velocity(raw, y, s, prediction), noise - clean)
    torch.testing.assert_close(preserving(y, s), alpha * clean + sigma * noise)


def test_a_scheduler_that_was_taken_away_is_told():
    with pytest.raises(ValueError, match="no scheduler any more"):
        check_invertible(None)


def test_an_unknown_prediction_is_named():
    with pytest.raises(ValueError, match="'score' is none of 'epsilon', 'sample', 'v_prediction'"):
        diffusion_velocity(torch.zeros(1), torch.zeros(1), 0.5, "score")


@pytest.mark.parametrize(
    ("scheduler", "reason"),
    [
        (diffusers.DDIMScheduler(), r"DDIMScheduler with clip_sample=True cannot be .* set .*clip_sample=False"),
        (diffusers.DDIMScheduler(clip_sample=False, thresholding=True), r"thresholding=True.*thresholding=False"),
        (diffusers.EulerAncestralDiscreteScheduler(), "EulerAncestralDiscreteScheduler .* adds noise"),
        (diffusers.DDPMScheduler(clip_sample=False), "DDPMScheduler .* adds noise .*DDIMScheduler.from_config"),
        (diffusers.CogVideoXDPMScheduler(clip_sample=False), "takes other .*CogVideoXDDIMScheduler.from"),
        (diffusers.EDMEulerScheduler(), "EDMEulerScheduler is not known here: it changes what goes into the network"),
        (diffusers.ScoreSdeVeScheduler(), "ScoreSdeVeScheduler is not known here"),
        (diffusers.FlowMatchEulerDiscreteScheduler(), "is for flow matching, and this .* for diffusion; put back"),
    ],
)  # fmt: skip
def test_what_cannot_be_inverted_is_refused_with_a_cure(scheduler, reason):
    with pytest.raises(ValueError, match=reason):
        check_invertible(scheduler)


@pytest.mark.parametrize(
    ("scheduler", "reason"),
    [
        (diffusers.DDIMScheduler(clip_sample=False), "DDIMScheduler is for diffusion, and .* trained for flow match"),
        (diffusers.EulerDiscreteScheduler(), "EulerDiscreteScheduler is for diffusion"),
        (diffusers.EDMEulerScheduler(), "EDMEulerScheduler is not known here"),
        (diffusers.FlowMatchLCMScheduler(), "FlowMatchLCMScheduler cannot be inverted, its step adds noise"),
        (
            diffusers.FlowMatchEulerDiscreteScheduler(stochastic_sampling=True),
            "stochastic_sampling=True cannot .*config, stochastic_sampling=False",
        ),
    ],
)
def test_what_a_flow_model_cannot_use_is_refused_with_a_cure_of_its_kind(scheduler, reason):
    with pytest.raises(ValueError, match=rf"{reason}") as refused:
        flow_levels(scheduler, 4)
    assert "generator.pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(" in str(refused.value)
    kind, config = diffusers.FlowMatchEulerDiscreteScheduler, scheduler.config
    flow_levels(kind.from_config(config, stochastic_sampling=False), 4)


def test_steps_that_look_back_cannot_be_read():
    with pytest.raises(ValueError, match="steps of IPNDMScheduler are not linear, or depend on earlier ones"):
        diffusion_levels(diffusers.IPNDMScheduler(), 6)


def test_the_cure_of_a_stochastic_one_is_accepted():
    for stochastic in (diffusers.EulerAncestralDiscreteScheduler(**SD), diffusers.DDPMScheduler(**SD)):
        check_invertible(diffusers.DDIMScheduler.from_config(stochastic.config, clip_sample=False))
    dpm = diffusers.CogVideoXDPMScheduler(**SD)
    check_invertible(diffusers.CogVideoXDDIMScheduler.from_config(dpm.config, clip_sample=False))


@pytest.mark.parametrize("kind", [diffusers.DPMSolverMultistepScheduler, diffusers.DPMSolverSinglestepScheduler])
@pytest.mark.parametrize("flow", [False, True])
def test_a_solver_of_the_sde_is_refused_and_that_of_the_ode_accepted(kind, flow):
    ode = kind(**SD, algorithm_type="dpmsolver++", use_flow_sigmas=flow)
    check_invertible(ode, flow=flow)
    sde = kind.from_config(ode.config, algorithm_type="sde-dpmsolver++")
    with pytest.raises(ValueError, match=r"of sde-dpmsolver\+\+ adds noise .* algorithm_type='dpmsolver\+\+'\)"):
        check_invertible(sde, flow=flow)


@pytest.mark.parametrize(
    "scheduler",
    [
        diffusers.DDIMScheduler(clip_sample=False),
        diffusers.CogVideoXDDIMScheduler(clip_sample=False),
        diffusers.EulerDiscreteScheduler(),
        diffusers.FlowMatchEulerDiscreteScheduler(),
        diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
        diffusers.DPMSolverMultistepScheduler(),
    ],
    ids=lambda s: type(s).__name__,
)
def test_the_rest_is_accepted(scheduler):
    check_invertible(scheduler, flow=type(scheduler).__name__.startswith("Flow"))


ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.mark.parametrize("num_steps", [5, 25])
@pytest.mark.parametrize(
    ("scheduler", "prediction"),
    [
        (diffusers.DDIMScheduler(**SD, clip_sample=False, timestep_spacing="trailing"), "epsilon"),
        (diffusers.DDIMScheduler(**SD, clip_sample=False, prediction_type="v_prediction", **ZERO_SNR), "v_prediction"),
        (diffusers.EulerDiscreteScheduler(**SD), "epsilon"),
        (diffusers.EulerDiscreteScheduler(**SD, prediction_type="v_prediction"), "v_prediction"),
        (diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), "flow"),
    ],
    ids=["ddim", "ddim to zero signal", "euler", "euler, v", "flow"],
)
def test_levels_are_read_from_the_steps_alone(scheduler, prediction, num_steps):
    known = flow_levels if prediction == "flow" else diffusion_levels
    scheduler.set_timesteps(num_steps)
    levels, times = probed(scheduler, prediction)
    torch.testing.assert_close(levels, known(scheduler, num_steps), atol=2e-6, rtol=0)
    torch.testing.assert_close(times, scheduler.timesteps.double())


def test_steps_that_are_not_linear_cannot_be_read():
    scheduler = diffusers.DDIMScheduler(**SD, clip_sample=True)
    scheduler.set_timesteps(5)
    with pytest.raises(ValueError, match="steps of DDIMScheduler are not linear"):
        probed(scheduler, "epsilon")
    scheduler = diffusers.DDIMScheduler(**SD, clip_sample=False)
    scheduler.set_timesteps(5)
    with pytest.raises(ValueError, match="prediction_type 'sample' cannot be read"):
        probed(scheduler, "sample")


@pytest.mark.parametrize("levels", [flow_levels, diffusion_levels])
def test_no_steps_is_an_error(levels):
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        levels(diffusers.FlowMatchEulerDiscreteScheduler(), 0)
