"""What a diffusers scheduler knows, in flow time: which levels it visits, and what the network calls each.

Only levels are taken from it. The steps are latentlab's, so that a multistep scheduler and a first-order one sample
the same ODE, each step of which can be inverted. A scheduler that tells neither sigmas nor alphas is read by its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def check_invertible(scheduler) -> None:
    """Raises unless the scheduler's own step is a deterministic, linear map of the state and the network's output.

    A step of a first-order sampler is x' = a x + b m, so it carries (0, 0) to 0 and (2x, 2m) to twice where it carries
    (x, m): what adds noise breaks the first, what clips breaks the second.

    Raises:
        ValueError: it is not; the message says why, and what to put in its place.
    """
    name, config = type(scheduler).__name__, scheduler.config
    cures = {"clip_sample": False, "thresholding": False, "stochastic_sampling": False}
    wrong = [key for key, value in cures.items() if config.get(key, value) != value]
    if wrong:
        cure = f"{name}.from_config(generator.pipe.scheduler.config, {', '.join(f'{k}=False' for k in wrong)})"
        raise ValueError(f"{name} with {wrong[0]}=True cannot be inverted; set generator.pipe.scheduler = {cure}")
    if config.get("solver_order") is not None or config.get("use_flow_sigmas"):
        return  # a multistep rule for the same ODE; its step has a history and is not used
    try:
        nothing, once, twice = (_step(scheduler, size) for size in (0.0, 1e3, 2e3))
    except TypeError as error:
        raise ValueError(
            f"{name} cannot be inverted, its step takes other arguments ({error}); {_another(name)}"
        ) from error
    if nothing != 0 or not math.isclose(twice, 2 * once, rel_tol=1e-4):
        raise ValueError(f"{name} cannot be inverted, its step adds noise or clips; {_another(name)}")


def _another(name: str) -> str:
    kind = "CogVideoXDDIMScheduler" if name.startswith("CogVideoX") else "DDIMScheduler"
    return (
        "put a deterministic one of the same family in its place, e.g. generator.pipe.scheduler = "
        f"{kind}.from_config(generator.pipe.scheduler.config, clip_sample=False)"
    )


def _step(scheduler, value: float) -> float:
    own = deepcopy(scheduler)
    own.set_timesteps(4, **({"mu": 1.0} if own.config.get("use_dynamic_shifting") else {}))
    own.is_scale_input_called = True  # there is no input to scale, and some warn of it
    x = torch.full((1, 1, 1, 1), value)
    end = own.step(x, own.timesteps[1], x, return_dict=False)[0]
    return float(end)


def flow_levels(scheduler, num_steps: int, **options) -> Float[Tensor, " level"]:
    """Levels of a flow-matching scheduler, whose sigma is flow time; `options` go to its `set_timesteps`."""
    own = _set(scheduler, num_steps, **options)
    if not hasattr(own, "sigmas"):
        return probed(own, "flow")[0]
    sigmas = own.sigmas.double()
    return _falling(1 - sigmas if own.config.get("invert_sigmas") else sigmas)


def diffusion_levels(scheduler, num_steps: int) -> Float[Tensor, " level"]:
    """Levels s = sigma / (alpha + sigma) of a scheduler for diffusion, variance preserving or exploding.

    A scheduler with sigmas (alpha = 1) is asked for them. Of the others, the levels are those at which the network is
    called, and the last is the one they end at. diffusers' DDIM steps to `t - T // N` whatever the spacing of its
    timesteps, which for "linspace" and often for "trailing" is not where the next call is; here each step ends where
    the next one begins.
    """
    own = _set(scheduler, num_steps)
    if hasattr(own, "sigmas"):
        sigmas = own.sigmas.double()
        return _falling(sigmas / (1 + sigmas))
    if not hasattr(own, "alphas_cumprod"):
        return probed(own, own.config.prediction_type)[0]
    final = float(getattr(own, "final_alpha_cumprod", 1.0))
    return _falling(_of_alphas(torch.cat([own.alphas_cumprod[own.timesteps.cpu().long()], torch.tensor([final])])))


@lru_cache(maxsize=8)
def diffusion_time(scheduler) -> Callable[[float], float]:
    """Timestep by level: the table of training levels, linear between them."""
    if hasattr(scheduler, "alphas_cumprod"):
        table = _of_alphas(scheduler.alphas_cumprod).numpy()
        times = np.arange(len(table))
    else:
        own = _set(scheduler, scheduler.config.get("num_train_timesteps", 1000))
        levels, called = probed(own, own.config.prediction_type)
        table, times = levels[:-1].flip(0).numpy(), called.flip(0).numpy()
    return lambda s: float(np.interp(s, table, times))


def probed(scheduler, prediction: str) -> tuple[Float[Tensor, " level"], Float[Tensor, " step"]]:
    """Levels and timesteps of a scheduler that tells no levels, read from its own steps.

    A first-order deterministic step is x' = a x + b m, linear in the state and in what the network predicts; steps from
    (1, 0) and (0, 1) show a and b. They are followed back from clean data, where (alpha, sigma) is (1, 0).

    Args:
        scheduler: with its timesteps set; it is left as it was.
        prediction: "flow", "epsilon" or "v_prediction".

    Raises:
        ValueError: steps that are not linear, or another prediction.
    """
    a, b, both = (_walk(scheduler, *unit) for unit in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)))
    if not torch.allclose(a + b, both, rtol=1e-4, atol=1e-5):
        raise ValueError(f"the steps of {type(scheduler).__name__} are not linear, so its levels cannot be read")
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


def _walk(scheduler, x: float, predicted: float) -> Float[Tensor, " step"]:
    """Where each step carries the same state and prediction."""
    own = deepcopy(scheduler)
    own.is_scale_input_called = True  # there is no input to scale, and some warn of it
    state, prediction = (torch.full((1, 1, 1, 1), v, dtype=torch.float64) for v in (x, predicted))
    ends = [own.step(prediction, t, state, return_dict=False)[0] for t in own.timesteps]
    return torch.stack(ends).flatten().double().cpu()


def diffusion_velocity(raw: Tensor, y: Tensor, s: float, prediction: str) -> Tensor:
    """The velocity noise - clean from what a diffusion network predicts at `y = (1 - s) clean + s noise`.

    Raises:
        ValueError: a kind of prediction that is not known.
    """
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


def _set(scheduler, num_steps: int, **options):
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    own = deepcopy(scheduler)
    own.set_timesteps(**options) if "sigmas" in options else own.set_timesteps(num_steps, **options)
    return own


def _of_alphas(alphas_cumprod: Tensor) -> Tensor:
    alpha, sigma = alphas_cumprod.double().sqrt(), (1 - alphas_cumprod.double()).sqrt()
    return sigma / (alpha + sigma)


def _falling(s: Tensor) -> Tensor:
    """Levels without repetitions, such as a last sigma that is the smallest one again."""
    return torch.unique_consecutive(s.cpu())
