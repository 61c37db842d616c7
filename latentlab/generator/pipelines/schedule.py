"""What a diffusers scheduler knows, in flow time: which levels it visits, and what the network calls each.

Only levels are taken from it. The steps are latentlab's, so that a multistep scheduler and a first-order one sample
the same ODE, each step of which can be inverted. A scheduler that tells neither sigmas nor alphas is read by its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import lru_cache
from inspect import signature

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.generator.methods import check_counts
from latentlab.generator.pipelines.foreign import Steps, TellsAlphas, TellsEnd, TellsSigmas

OPEN = {  # predictions that tell nothing of the velocity where a path ends, and what avoids that
    ("epsilon", 1.0): "take a schedule that keeps some signal, rescale_betas_zero_snr=False",
    ("sample", 0.0): "end above clean data, set_alpha_to_one=False or final_sigmas_type='sigma_min'",
}


def check_invertible(scheduler, *, flow: bool = False) -> None:
    """Raises unless the scheduler's own step is a deterministic, linear map of the state and the network's output.

    A step of a first-order sampler is x' = a x + b m, so it carries (0, 0) to 0 and (2x, 2m) to twice where it carries
    (x, m): what adds noise breaks the first, what clips breaks the second.

    Args:
        scheduler: of a pipeline.
        flow: whether that pipeline's network was trained for flow matching, or for diffusion.

    Raises:
        ValueError: it is not, or it is for other networks; the message says why, and what to put in its place.
    """
    if scheduler is None:
        raise ValueError("the pipeline has no scheduler any more, and it tells the levels; put it back")
    name, config, cure = type(scheduler).__name__, scheduler.config, _another(scheduler, flow)
    if not isinstance(scheduler, Steps) or config.get("sigma_data") is not None:
        raise ValueError(f"{name} is not known here: it changes what goes into the network and comes out; {cure}")
    tells = TellsSigmas if for_flow(scheduler) else TellsAlphas
    if for_flow(scheduler) is not flow and isinstance(scheduler, tells):
        kinds = ("flow matching", "diffusion") if flow else ("diffusion", "flow matching")
        cure = cure if flow else "put back that of its folder, which knows the levels of the training"
        raise ValueError(f"{name} is for {kinds[1]}, and this network was trained for {kinds[0]}; {cure}")
    cures = {"clip_sample": False, "thresholding": False, "stochastic_sampling": False}
    wrong = [key for key, value in cures.items() if config.get(key, value) != value]
    if wrong:
        same = f"{name}.from_config(generator.pipe.scheduler.config, {', '.join(f'{k}=False' for k in wrong)})"
        raise ValueError(f"{name} with {wrong[0]}=True cannot be inverted; set generator.pipe.scheduler = {same}")
    if (sde := str(config.get("algorithm_type"))).startswith("sde-"):
        same = f"{name}.from_config(generator.pipe.scheduler.config, algorithm_type={sde.removeprefix('sde-')!r})"
        raise ValueError(f"{name} of {sde} adds noise and cannot be inverted; set generator.pipe.scheduler = {same}")
    if config.get("solver_order") is not None or config.get("use_flow_sigmas"):
        return  # a multistep rule for the same ODE; its step has a history and is not used
    try:
        nothing, once, twice = (_step(scheduler, size) for size in (0.0, 1e3, 2e3))
    except TypeError as error:
        raise ValueError(f"{name} cannot be inverted, its step takes other arguments ({error}); {cure}") from error
    if nothing != 0 or not math.isclose(twice, 2 * once, rel_tol=1e-4):
        raise ValueError(f"{name} cannot be inverted, its step adds noise or clips; {cure}")


def for_flow(scheduler) -> bool:
    """Whether a scheduler is for networks of flow matching."""
    own = scheduler.config.get("use_flow_sigmas") or scheduler.config.get("prediction_type") == "flow_prediction"
    return bool(own) or type(scheduler).__name__.startswith("FlowMatch")


def _another(scheduler, flow: bool) -> str:
    if not flow and "beta_start" not in scheduler.config:
        return "diffusers has no deterministic one for the levels of such networks"
    kind = "CogVideoXDDIMScheduler" if type(scheduler).__name__.startswith("CogVideoX") else "DDIMScheduler"
    kind, more = ("FlowMatchEulerDiscreteScheduler", "") if flow else (kind, ", clip_sample=False")
    return (
        "put a deterministic one for such networks in its place, e.g. generator.pipe.scheduler = "
        f"{kind}.from_config(generator.pipe.scheduler.config{more})"
    )


def _step(scheduler, value: float) -> float:
    own = deepcopy(scheduler)
    own.set_timesteps(4, **({"mu": 1.0} if own.config.get("use_dynamic_shifting") else {}))
    own.is_scale_input_called = True  # there is no input to scale, and some warn of it
    x = torch.full((1, 1, 1, 1), value)
    try:
        end = own.step(x, own.timesteps[1], x, return_dict=False)[0]
    except IndexError:  # one that is told a timestep for each row
        end = own.step(x, own.timesteps[1:2], x, return_dict=False)[0]
    return float(end)


def flow_levels(
    scheduler, num_steps: int, *, sigmas: Sequence[float] | np.ndarray | None = None, mu: float | None = None
) -> Float[Tensor, " level"]:
    """Levels of a flow-matching scheduler, whose sigma is flow time.

    Args:
        scheduler: of the pipeline.
        num_steps: steps.
        sigmas: that the family asks its scheduler for, which shifts them; None leaves them to it.
        mu: logarithm of the shift, for a scheduler whose shift depends on the size of the clip.

    Raises:
        ValueError: a scheduler that cannot be inverted, or is not for flow matching.
    """
    check_counts(num_steps=num_steps)
    check_invertible(scheduler, flow=True)
    if mu is None and scheduler.config.get("use_dynamic_shifting"):
        name = type(scheduler).__name__
        raise ValueError(
            f"{name} with use_dynamic_shifting=True shifts its levels by the size of the clip, of which this pipeline "
            f"tells it nothing; set generator.pipe.scheduler = {name}.from_config(generator.pipe.scheduler.config, "
            "use_dynamic_shifting=False, shift=3.0)"
        )
    own, takes = deepcopy(scheduler), signature(scheduler.set_timesteps).parameters
    dynamic = {"mu": mu} if mu is not None and own.config.get("use_dynamic_shifting") else {}
    if sigmas is not None and "sigmas" not in takes:
        shift = math.exp(mu) if dynamic and mu is not None else own.config.get("flow_shift", own.config.get("shift"))
        s, shift = torch.tensor([*sigmas, 0.0], dtype=torch.float64), 1.0 if shift is None else shift
        return falling(shift * s / (1 + (shift - 1) * s), own, num_steps)
    own.set_timesteps(num_steps, **dynamic) if sigmas is None else own.set_timesteps(sigmas=sigmas, **dynamic)
    return levels_of(own, num_steps, flow=True)


def diffusion_levels(scheduler, num_steps: int) -> Float[Tensor, " level"]:
    """Levels s = sigma / (alpha + sigma) of a scheduler for diffusion, variance preserving or exploding.

    A scheduler with sigmas (alpha = 1) is asked for them. Of the others, the levels are those at which the network is
    called, and the last is the one they end at. diffusers' DDIM steps to `t - T // N` whatever the spacing of its
    timesteps, which for "linspace" and often for "trailing" is not where the next call is; here each step ends where
    the next one begins.

    Raises:
        ValueError: a scheduler that cannot be inverted, or is not for diffusion.
    """
    check_counts(num_steps=num_steps)
    check_invertible(scheduler)
    return levels_of(_set(scheduler, num_steps), num_steps, flow=False)


def levels_of(own, num_steps: int, *, flow: bool) -> Float[Tensor, " level"]:
    """Levels of a scheduler whose timesteps are set."""
    config, times = own.config, own.timesteps
    if isinstance(own, TellsSigmas):
        sigmas = own.sigmas.double()
        levels = (1 - sigmas if config.get("invert_sigmas") else sigmas) if flow else sigmas / (1 + sigmas)
        return falling(levels, own, num_steps)
    if not isinstance(own, TellsAlphas):
        return probed(own, "flow" if flow else config.get("prediction_type"))[0]
    final = float(own.final_alpha_cumprod) if isinstance(own, TellsEnd) else 1.0
    alphas = torch.cat([own.alphas_cumprod[times.cpu().long()], torch.tensor([final])])
    return falling(_of_alphas(alphas), own, num_steps)


@lru_cache(maxsize=8)
def diffusion_time(scheduler) -> Callable[[float], float]:
    """Timestep by level: the table of training levels, linear between them."""
    # By lists: a network may be asked inside torch.func, where tensors cannot become arrays.
    if isinstance(scheduler, TellsAlphas):
        table = _of_alphas(scheduler.alphas_cumprod).tolist()
        times: list[float] = [*range(len(table))]
    else:
        own = _set(scheduler, scheduler.config.get("num_train_timesteps", 1000))
        levels, called = probed(own, own.config.get("prediction_type"))
        table, times = levels[:-1].flip(0).tolist(), called.flip(0).tolist()
    known = np.array([table, times])
    return lambda s: float(np.interp(s, *known))


def probed(scheduler, prediction: str | None) -> tuple[Float[Tensor, " level"], Float[Tensor, " step"]]:
    """Levels and timesteps of a scheduler that tells no levels, read from its own steps.

    A first-order deterministic step is x' = a x + b m, linear in the state and in what the network predicts; steps from
    (1, 0) and (0, 1) show a and b. They are followed back from clean data, where (alpha, sigma) is (1, 0).

    Args:
        scheduler: with its timesteps set; it is left as it was.
        prediction: "flow", "epsilon" or "v_prediction".

    Raises:
        ValueError: steps that are not linear or look back on earlier ones, or another prediction.
    """
    turn = torch.arange(len(scheduler.timesteps), dtype=torch.float64)
    one, none, x, m = torch.ones_like(turn), torch.zeros_like(turn), turn.cos(), (2 * turn).sin()
    a, b, both = (_walk(scheduler, *given) for given in ((one, none), (none, one), (x, m)))
    if not torch.allclose(a * x + b * m, both, rtol=1e-4, atol=1e-5):
        raise ValueError(
            f"the steps of {type(scheduler).__name__} are not linear, or depend on earlier ones, so its levels cannot "
            "be read; put a first-order, deterministic scheduler in its place"
        )
    levels, (alpha, sigma) = [0.0], (1.0, 0.0)
    for along, across in zip(reversed(a.tolist()), reversed(b.tolist()), strict=True):
        if prediction == "flow":  # x' = x + (s' - s) (noise - clean)
            sigma -= across
            alpha = 1 - sigma
        elif prediction == "epsilon":  # x' = (alpha' / alpha) (x - sigma noise) + sigma' noise
            alpha, sigma = alpha / along, (sigma - across) / along
        elif prediction == "v_prediction":  # x' turns by the difference of two angles, and grows by r' / r
            r, angle = math.hypot(alpha, sigma), math.atan2(sigma, alpha)
            turn = math.asin(min(1.0, max(-1.0, -across / r)))
            r *= math.cos(turn) / along
            alpha, sigma = r * math.cos(angle + turn), r * math.sin(angle + turn)
        else:
            raise ValueError(f"levels under prediction_type {prediction!r} cannot be read from a scheduler's steps")
        levels.append(sigma / (alpha + sigma))
    return torch.tensor(levels[::-1], dtype=torch.float64), scheduler.timesteps.double().cpu()


def _walk(scheduler, states: Tensor, predictions: Tensor) -> Float[Tensor, " step"]:
    """Where each step carries its own state and prediction."""
    own = deepcopy(scheduler)
    own.is_scale_input_called = True  # there is no input to scale, and some warn of it
    given = zip(own.timesteps, states.view(-1, 1, 1, 1, 1), predictions.view(-1, 1, 1, 1, 1), strict=True)
    ends = [own.step(prediction, t, state, return_dict=False)[0] for t, state, prediction in given]
    return torch.stack(ends).flatten().double().cpu()


def diffusion_velocity(raw: Tensor, y: Tensor, s: float, prediction: str) -> Tensor:
    """The velocity noise - clean from what a diffusion network predicts at `y = (1 - s) clean + s noise`.

    Raises:
        ValueError: a kind of prediction that is not known, or one that leaves the velocity open at this level.
    """
    if (prediction, s) in OPEN:
        raise ValueError(
            f"prediction_type {prediction!r} leaves the velocity open at flow time {s}: {OPEN[prediction, s]}"
        )
    if prediction == "epsilon":
        return (raw - y) / (1 - s)
    if prediction == "sample":
        return (y - raw) / s
    if prediction != "v_prediction":
        raise ValueError(f"prediction_type {prediction!r} is none of 'epsilon', 'sample', 'v_prediction'")
    norm = math.hypot(1 - s, s)  # v = alpha noise - sigma clean, with alpha = (1 - s) / norm and sigma = s / norm
    alpha, sigma = (1 - s) / norm, s / norm
    return ((sigma - alpha) * y / norm) + (alpha + sigma) * raw


def preserving(y: Tensor, s: float) -> Tensor:
    """The state as variance-preserving diffusion has it: x = alpha clean + sigma noise, alpha^2 + sigma^2 = 1."""
    return y / math.hypot(1 - s, s)


def _set(scheduler, num_steps: int):
    own = deepcopy(scheduler)
    own.set_timesteps(num_steps)
    return own


def _of_alphas(alphas_cumprod: Tensor) -> Tensor:
    alpha, sigma = alphas_cumprod.double().sqrt(), (1 - alphas_cumprod.double()).sqrt()
    return sigma / (alpha + sigma)


def falling(s: Tensor, scheduler, num_steps: int) -> Tensor:
    """Levels, each told once where a scheduler of second order repeats them.

    A last step that stays where it is, as where timesteps end at 0 and `set_alpha_to_one` is False, is none.

    Raises:
        ValueError: they do not fall from step to step.
    """
    levels, still = torch.unique_consecutive(s.cpu()), int(s[-1] == s[-2])
    if len(levels) != num_steps + 1 - still or not (levels.diff() < 0).all():
        name, path = type(scheduler).__name__, " > ".join(f"{level:.3f}" for level in levels.tolist()[:12])
        raise ValueError(
            f"the levels of {name} do not fall once in each of {num_steps} steps: {path}; put another scheduler of the "
            "same kind in its place"
        )
    return levels
