"""Schedulers in the place of a pipeline's own: one shows a single level and keeps what is stepped, one listens."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from latentlab.generator.pipelines.foreign import Preconditions, Scales, TellsSigmas
from latentlab.generator.pipelines.visit import Halt, Step, Visit

if TYPE_CHECKING:

    class Scheduler:
        """What the classes below are mixed into."""

        timesteps: Tensor

        def set_timesteps(self, *args: Any, **options: Any) -> None: ...
        def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor: ...
        def step(self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **options: Any) -> Any: ...
else:
    Scheduler = object


class Stepped(tuple):
    """What a step returns, whichever way it is read."""

    prev_sample = pred_original_sample = property(lambda self: self[0])


class Visiting(Scheduler):
    """Mixed into a copy of a scheduler: set as the pipeline asks, it shows one level and keeps what is stepped."""

    order = 1
    init_noise_sigma = 1.0
    seen: Visit

    def set_timesteps(self, *args: Any, **options: Any) -> None:
        if derives():  # schedulers read their tensors as numbers, which is forbidden then, in this thread alone
            with ThreadPoolExecutor(1) as beside:
                beside.submit(super().set_timesteps, *args, **options).result()
        else:
            super().set_timesteps(*args, **options)
        self.seen.scheduler = _plain(self)
        if self.seen.until == "schedule":
            raise Halt
        if self.seen.time is None:
            return
        t, sigma = self.seen.time
        self.timesteps = torch.tensor([t], dtype=torch.float32, device=self.timesteps.device)
        if isinstance(self, TellsSigmas):
            self.sigmas = torch.tensor([sigma, 0.0], dtype=torch.float32, device=self.sigmas.device)

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        return super().scale_model_input(sample, timestep) if isinstance(self, Preconditions) else sample

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **options: Any) -> Stepped:
        del timestep, args
        if (
            isinstance(self, Preconditions) and options.get("pred_original_sample") is None
        ):  # asked for clean data alone
            return Stepped([sample, self.precondition_outputs(sample, model_output, self.sigmas[0])])
        if self.seen.heard is None:
            self.seen.heard, self.seen.at = _towards_noise(model_output, options), sample
        if self.seen.returned is None:
            raise Halt
        return Stepped([self.seen.returned.to(sample).expand(sample.shape)] * 2)


class Listening(Scheduler):
    """Mixed into a copy of a scheduler that goes its own way: what comes to each step is kept."""

    seen: Visit
    factor = 1.0  # of the state as the network gets it

    def set_timesteps(self, *args: Any, **options: Any) -> None:
        super().set_timesteps(*args, **options)
        self.seen.scheduler = _plain(self)

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        if not isinstance(_own_class(self), Scales):
            return sample
        scaled = super().scale_model_input(sample, timestep)
        self.factor = float((scaled.double() * sample).sum() / sample.double().square().sum())
        return scaled

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **options: Any) -> Any:
        if isinstance(self, Preconditions) and options.get("pred_original_sample") is None:
            return super().step(model_output, timestep, sample, *args, **options)
        sigmas, count = self.sigmas if isinstance(self, TellsSigmas) else None, len(self.seen.steps)
        sigma = None if sigmas is None or count >= len(sigmas) else float(sigmas[count])
        heard = _towards_noise(model_output, options)
        # Some pipelines write what a step returns into the state that it was given (Kandinsky 5).
        self.seen.steps.append(Step(sample.clone(), self.factor, float(timestep), sigma, heard))
        if self.seen.heard is None:
            self.seen.heard, self.seen.at = heard, sample
        return super().step(model_output, timestep, sample, *args, **options)


def derives() -> bool:
    """Whether a derivative in forward mode is taken."""
    return peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def _towards_noise(output: Tensor, options: Mapping[str, Any]) -> Tensor:
    """What the network said, as a step takes it that is told a timestep for all tokens alike.

    Where each token has its own, diffusers' step of flow matching goes by the level minus the next one, and is given
    the velocity with its sign turned (LTXCondition).
    """
    return output if options.get("per_token_timesteps") is None else -output


@lru_cache(maxsize=64)
def _mixed(mixin: type, kind: type) -> type:
    own = {}
    if mixin is Visiting or mixin is Listening:
        own["set_timesteps"] = wraps(kind.set_timesteps)(lambda self, *a, **k: mixin.set_timesteps(self, *a, **k))
    if mixin is Listening:  # pipelines ask whether it takes eta or a generator
        own["step"] = wraps(kind.step)(lambda self, *a, **k: mixin.step(self, *a, **k))
    return type(kind.__name__, (mixin, kind), {**own, "__module__": kind.__module__})  # as errors of pipelines name it


def visiting(real, seen: Visit):
    """A copy of a scheduler for a call: it listens where the call goes to its end, else it visits.

    One that visits takes no step of its own. Setting a schedule puts new tensors in the place of old ones, and fills
    lists and dicts: those are copied, and tensors are not, which would take longer than all the rest of a call.
    """
    if seen.until == "end":
        own = copy.deepcopy(real)
        own.__class__ = _mixed(Listening, type(real))
    else:
        own = object.__new__(_mixed(Visiting, type(real)))
        kept = {k: copy.copy(v) if type(v) in (list, dict) else v for k, v in vars(real).items()}
        kept.pop("init_noise_sigma", None)
        vars(own).update(kept)
    own.seen = seen
    return own


def _plain(mixed):
    """The scheduler as it is set, of its own class again."""
    own = copy.copy(mixed)
    own.__class__ = _own_class(mixed)
    return own


def _own_class(mixed) -> type:
    """That of a scheduler which one of the classes above is mixed into."""
    return type(mixed).__mro__[2]
