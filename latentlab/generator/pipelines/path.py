"""What a level is to a driven pipeline: how its states are scaled there, what its network calls it, and what comes to
the step; all read from its scheduler."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Literal, Self

from torch import Tensor

from latentlab.generator.pipelines.foreign import Preconditions, Steps, TellsSigmas
from latentlab.generator.pipelines.schedule import (
    check_invertible,
    diffusion_time,
    diffusion_velocity,
    falling,
    for_flow,
    levels_of,
)

ScheduleKind = Literal["flow", "reversed flow", "preserving", "exploding"]
SAME = 2e-3  # a shift of timesteps this near 1 is their rounding


@dataclass(frozen=True)
class Path:
    """States of clean data and noise by flow time `s`, as one scheduler has them; `sigma = s / (1 - s)`.

    Attributes:
        scheduler: of the pipeline.
        kind: states are `(1 - s) clean + s noise` ("flow", and "reversed flow", whose sigma is that of clean data),
            the same over its norm ("preserving"), or `unit (clean + sigma noise)` ("exploding").
        unit: standard deviation of clean data among the states.
        shift: sigma over 1 - sigma, over the same of timesteps: some schedules are shifted and their timesteps are not.
    """

    scheduler: Any
    kind: ScheduleKind
    unit: float = 1.0
    shift: float = 1.0

    @classmethod
    def of(cls, scheduler: Any) -> Self:
        """The path of a pipeline's scheduler.

        Raises:
            ValueError: a scheduler that adds noise, clips or is not known.
        """
        config, flow = scheduler.config, for_flow(scheduler)
        if isinstance(scheduler, Steps) and "r_timestep" in signature(scheduler.step).parameters:
            raise ValueError(
                f"{type(scheduler).__name__} is for a flow map: the network is told where each step ends, too, and "
                "answers with the mean velocity on the way there, so that none belongs to a level alone"
            )
        if isinstance(scheduler, Preconditions):
            return cls(scheduler, "exploding", float(config["sigma_data"]))
        if flow and (config.get("sigma_max") or 1.0) > 1:
            return cls(scheduler, "exploding", float(config.get("sigma_data") or 1.0))
        check_invertible(scheduler, flow=flow)
        if not flow:
            return cls(scheduler, "preserving")
        return cls(scheduler, "reversed flow" if config.get("invert_sigmas") else "flow")

    @property
    def flow(self) -> bool:
        """Whether its sigmas are flow times."""
        return self.kind.endswith("flow")

    @property
    def denoises(self) -> bool:
        """Whether clean data comes to its step (Karras et al. 2022), where others have noise or velocity."""
        return isinstance(self.scheduler, Preconditions)

    def at(self, set_scheduler: Any) -> Self:
        """The path with the shift of timesteps of a schedule that was set."""
        times = set_scheduler.timesteps
        if self.kind != "flow" or not isinstance(set_scheduler, TellsSigmas):
            return self
        s = set_scheduler.sigmas[: len(times)].double().cpu()
        u = times.double().cpu() / self.scheduler.config.get("num_train_timesteps", 1000)
        if len(s) != len(u):
            return self
        inside = (u > 0.05) & (u < 0.95) & (s > 0.05) & (s < 0.95)
        if not inside.any():
            return self
        shift = float((s * (1 - u) / ((1 - s) * u))[inside].median())
        return replace(self, shift=1.0 if abs(shift - 1) < SAME else shift)

    def sigma(self, s: float) -> float:
        """What the scheduler calls a level."""
        if self.flow:
            return 1 - s if self.kind == "reversed flow" else s
        return self.unit * s / max(1 - s, 1e-9)

    def level(self, sigma: float) -> float:
        """The level that the scheduler calls so."""
        if self.flow:
            return 1 - sigma if self.kind == "reversed flow" else sigma
        return sigma / (self.unit + sigma)

    def timestep(self, s: float) -> float:
        """What the network calls a level."""
        config = self.scheduler.config
        if self.flow:
            sigma = self.sigma(s)
            return config.get("num_train_timesteps", 1000) * sigma / (sigma + self.shift * (1 - sigma))
        if self.denoises or config.get("timestep_type") == "continuous":  # log(sigma) / 4, Karras et al. (2022)
            sigma = min(max(self.sigma(s), config["sigma_min"]), config["sigma_max"])
            return 0.25 * math.log(sigma)
        if self.kind == "exploding":
            return config.get("num_train_timesteps", 1000) * self.sigma(s)
        return diffusion_time(self.scheduler)(s)

    def level_called(self, t: float) -> float:
        """The level that the network calls so."""
        low, high = 0.0, 1.0
        rising = self.timestep(0.9) > self.timestep(0.1)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (self.timestep(middle) < t) == rising else (low, middle)
        return (low + high) / 2

    def state(self, y: Tensor, s: float) -> Tensor:
        """The pipeline's state at `y = (1 - s) clean + s noise`."""
        return y * self._scale(s)

    def flow_state(self, x: Tensor, s: float) -> Tensor:
        """The same the other way."""
        return x / self._scale(s)

    def velocity(self, output: Tensor, y: Tensor, s: float) -> Tensor:
        """noise - clean, from what came to the step."""
        if self.flow:
            return -output if self.kind == "reversed flow" else output
        if self.denoises:
            return diffusion_velocity(output / self.unit, y, s, "sample")
        if self.kind == "exploding":
            return diffusion_velocity(output, y, s, "epsilon")
        return diffusion_velocity(output, y, s, self.scheduler.config.prediction_type)

    def levels(self, set_scheduler: Any, num_steps: int) -> Tensor:
        """Levels of a schedule that was set, first to last."""
        if self.kind != "exploding":
            return levels_of(set_scheduler, num_steps, flow=self.flow)
        sigmas = set_scheduler.sigmas.double()
        return falling(sigmas / (self.unit + sigmas), set_scheduler, num_steps)

    def settings(self) -> dict[str, Any]:
        """What the network is taken to predict, and to call levels."""
        kind = "flow" if self.flow else self.scheduler.config.get("prediction_type") or self.kind
        return {"prediction_type": kind, "timesteps": [round(self.timestep(s / 16), 6) for s in range(1, 16)]}

    def _scale(self, s: float) -> float:
        if self.flow:
            return 1.0
        return 1 / math.hypot(1 - s, s) if self.kind == "preserving" else self.unit / max(1 - s, 1e-9)
