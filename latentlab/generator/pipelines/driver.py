"""Drives the own `__call__` of a pipeline of diffusers: to its schedule, its network, its first step, or its decoder.

The call is made on a shallow copy of the pipeline, in which a few parts stand in for its own: a scheduler that visits
one level and keeps what comes to its step, encoders that return what they returned before, an autoencoder that shows
what is decoded. The pipeline itself is not touched, so nobody else who holds it, in whatever thread, meets any of that.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

Until = Literal["schedule", "network", "step", "decode", "end"]
CODECS = ("vae", "movq", "vqgan", "vqvae")  # what pipelines call their autoencoder
DENOISERS = ("transformer", "unet", "transformer_2", "unet_2", "prior", "decoder")  # and their denoisers


class Halt(BaseException):
    """The call has shown what was asked of it; no `except Exception` of a pipeline may hold it up."""


class Step(NamedTuple):
    """One step of a pipeline's own loop: its state, by which factor the network got it, timestep, sigma and output."""

    state: Tensor
    factor: float
    timestep: float
    sigma: float | None
    output: Tensor


@dataclass
class Visit:
    """One call of a pipeline: what is put into it, and what was seen on the way.

    Attributes:
        until: where it stops.
        state: of the noise that the pipeline drew, what is put in its place.
        time: the one timestep and sigma that are visited; None are the first of the schedule.
        returned: what the step gives back.
        remembered: answers of encoders, in the order of their calls, in the place of asking them.
        outputs: of its networks, by name: what is known is given again in the place of a call, what is not is kept.
        scheduler: as the pipeline set it.
        made: the noise that the pipeline drew.
        heard, at: what the network said, after guidance, and of which state: what came to the step.
        steps: of each step, where the schedule is the pipeline's own.
        encoded: answers of encoders.
        decoded: what came to the autoencoder.
        options: arguments and options that came with it.
        ended: what the call returned.
    """

    until: Until = "step"
    state: Callable[[Tensor], Tensor] | None = None
    time: tuple[float, float] | None = None
    returned: Tensor | None = None
    remembered: Sequence[tuple[str, Any]] | None = None
    outputs: dict[str, Any] | None = None
    scheduler: Any = None
    made: Tensor | None = None
    heard: Tensor | None = None
    at: Tensor | None = None
    steps: list[Step] = field(default_factory=list)
    encoded: list[tuple[str, Any]] = field(default_factory=list)
    decoded: list[Tensor] = field(default_factory=list)
    options: tuple[tuple, dict] = ((), {})
    ended: Any = None


def visit(pipe, told: Mapping[str, Any], seen: Visit) -> Visit:
    """Makes the pipeline's call, without its `no_grad`, and returns what was seen.

    Args:
        pipe: the pipeline, which is left as it is.
        told: arguments of its call.
        seen: what is put in, and where it stops.
    """
    own = object.__new__(_placed(type(pipe)))
    vars(own).update(vars(pipe), _progress_bar_config={"disable": True})
    parts = vars(own)
    parts["place"] = device_of(pipe)
    parts["scheduler"] = _scheduler(pipe.scheduler, seen)
    parts["maybe_free_model_hooks"] = lambda: None  # whoever drives does that, once it is done with the networks
    calls = Calls(seen)
    for name in encoders(type(pipe)):
        parts[name] = calls.of(name, getattr(pipe, name))
    if hasattr(pipe, "prepare_latents"):
        parts["prepare_latents"] = calls.noise(pipe.prepare_latents)
    if seen.until == "network":
        for name in denoisers(pipe):
            parts[name] = _stand_in(getattr(pipe, name), forward=_halt)
    elif seen.outputs is not None:
        for name in denoisers(pipe):
            parts[name] = _stand_in(getattr(pipe, name), forward=_known(getattr(pipe, name), name, seen.outputs))
    if seen.until == "decode":
        name = codec_name(pipe) or ""
        parts[name] = _stand_in(getattr(pipe, name), decode=_shown(seen, getattr(pipe, name).decode))
    call = type(pipe).__call__
    with suppress(Halt):
        seen.ended = getattr(call, "__wrapped__", call)(own, **told)
    return seen


@lru_cache(maxsize=64)
def _placed(kind: type) -> type:
    """A class of pipelines that knows its device: diffusers looks through all layers for it, at every question."""
    return type(kind.__name__, (kind,), {"_execution_device": property(lambda self: vars(self)["place"])})


_DEVICES: WeakKeyDictionary[nn.Module, tuple[Any, torch.device]] = WeakKeyDictionary()


def device_of(pipe) -> torch.device:
    """Where a pipeline computes; asked anew once its denoiser has moved, or begins to wait elsewhere."""
    names = denoisers(pipe)
    if not names:
        return pipe._execution_device
    first = getattr(pipe, names[0])
    hooks = tuple(getattr(first, name, None) is not None for name in ("_hf_hook", "_diffusers_hook"))
    seen = next(first.parameters()).device, hooks, id(getattr(pipe, "_offload_device", None))
    known = _DEVICES.get(first)
    if known is None or known[0] != seen:
        known = _DEVICES[first] = seen, pipe._execution_device
    return known[1]


@lru_cache(maxsize=64)
def encoders(kind: type) -> list[str]:
    """Methods of a class of pipelines that read captions and images."""
    starts = ("encode_", "_encode_", "prepare_image", "prepare_cond", "prepare_ip_adapter", "prepare_reference")
    found = [name for name in dir(kind) if name.startswith(starts) and inspect.isfunction(getattr(kind, name))]
    return [name for name in found if "prepare_image" not in name or "latents" in name or "embed" in name]


def denoisers(pipe) -> list[str]:
    """Names of the networks between noise and latents, in the order of `DENOISERS`."""
    return [name for name in DENOISERS if isinstance(getattr(pipe, name, None), nn.Module)]


def codec_name(pipe) -> str | None:
    """Name of the autoencoder, if there is one."""
    return next((name for name in CODECS if isinstance(getattr(pipe, name, None), nn.Module)), None)


class Calls:
    """What encoders answer: kept, or given again. Encoders that others call are theirs."""

    def __init__(self, seen: Visit) -> None:
        self.seen, self.inside = seen, False
        self.given = None if seen.remembered is None else list(seen.remembered)

    def of(self, name: str, real: Callable) -> Callable:
        @wraps(real)
        def answer(*args: Any, **options: Any) -> Any:
            if self.inside:
                return real(*args, **options)
            if self.given is not None:
                return self._again(name)
            self.inside = True
            try:
                found = real(*args, **options)
            finally:
                self.inside = False
            self.seen.encoded.append((name, found))
            return found

        return answer

    def noise(self, real: Callable) -> Callable:
        """The pipeline's own noise, our state in its place."""

        @wraps(real)
        def prepared(*args: Any, **options: Any) -> Any:
            known = self.given is not None and any(name == "prepare_latents" for name, _ in self.given)
            found = self._again("prepare_latents") if known else real(*args, **options)
            self.seen.encoded.append(("prepare_latents", found))
            several = isinstance(found, tuple | list)
            first = found[0] if several else found
            if self.seen.made is None:
                self.seen.made = first
            if self.seen.state is None:
                return found
            state = self.seen.state(first).to(first.device, first.dtype)
            return type(found)([state, *found[1:]]) if several else state

        return prepared

    def _again(self, name: str) -> Any:
        given = self.given or []
        at = next((i for i, (known, _) in enumerate(given) if known == name), None)
        if at is None:
            raise ValueError(f"this condition remembers no answer of {name}; make it again, generator.condition(...)")
        return given.pop(at)[1]


class Stepped(tuple):
    """What a step returns, whichever way it is read."""

    prev_sample = pred_original_sample = property(lambda self: self[0])


class Visiting:
    """Mixed into a copy of a scheduler: set as the pipeline asks, it shows one level and keeps what is stepped."""

    order = 1
    init_noise_sigma = 1.0
    seen: Visit

    def set_timesteps(self, *args: Any, **options: Any) -> None:
        # Schedulers read their tensors as numbers, which derivatives in forward mode forbid: those are of this thread.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(super().set_timesteps, *args, **options).result()  # type: ignore[misc]
        self.seen.scheduler = _plain(self)
        if self.seen.until == "schedule":
            raise Halt
        if self.seen.time is None:
            return
        t, sigma = self.seen.time
        self.timesteps = torch.tensor([t], dtype=torch.float32, device=self.timesteps.device)
        if hasattr(self, "sigmas"):
            self.sigmas = torch.tensor([sigma, 0.0], dtype=torch.float32, device=self.sigmas.device)

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        return super().scale_model_input(sample, timestep) if _denoises(self) else sample  # type: ignore[misc]

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **options: Any) -> Stepped:
        del timestep, args
        if _denoises(self) and options.get("pred_original_sample") is None:  # asked for clean data alone
            own: Any = self
            return Stepped([sample, own.precondition_outputs(sample, model_output, own.sigmas[0])])
        if self.seen.heard is None:
            self.seen.heard, self.seen.at = model_output, sample
        if self.seen.returned is None:
            raise Halt
        return Stepped([self.seen.returned.to(sample).expand(sample.shape)] * 2)


class Listening:
    """Mixed into a copy of a scheduler that goes its own way: what comes to each step is kept."""

    seen: Visit
    factor = 1.0  # of the state as the network gets it

    def set_timesteps(self, *args: Any, **options: Any) -> None:
        super().set_timesteps(*args, **options)  # type: ignore[misc]
        self.seen.scheduler = _plain(self)

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        scale = getattr(super(), "scale_model_input", None)
        if scale is None:
            return sample
        scaled = scale(sample, timestep)
        self.factor = float((scaled.double() * sample).sum() / sample.double().square().sum())
        return scaled

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **options: Any) -> Any:
        if _denoises(self) and options.get("pred_original_sample") is None:
            return super().step(model_output, timestep, sample, *args, **options)  # type: ignore[misc]
        sigmas, count = getattr(self, "sigmas", None), len(self.seen.steps)
        sigma = None if sigmas is None or count >= len(sigmas) else float(sigmas[count])
        self.seen.steps.append(Step(sample, self.factor, float(timestep), sigma, model_output))
        if self.seen.heard is None:
            self.seen.heard, self.seen.at = model_output, sample
        return super().step(model_output, timestep, sample, *args, **options)  # type: ignore[misc]


def _denoises(scheduler: Any) -> bool:
    """Whether its step makes clean data of what the network says, and is asked for that first (Karras et al. 2022)."""
    return hasattr(scheduler, "precondition_outputs")


@lru_cache(maxsize=64)
def _mixed(mixin: type, kind: type) -> type:
    own = {}
    if mixin is Visiting or mixin is Listening:
        own["set_timesteps"] = wraps(kind.set_timesteps)(lambda self, *a, **k: mixin.set_timesteps(self, *a, **k))
    if mixin is Listening:  # pipelines ask whether it takes eta or a generator
        own["step"] = wraps(kind.step)(lambda self, *a, **k: mixin.step(self, *a, **k))
    return type(mixin.__name__ + kind.__name__, (mixin, kind), own)


def _scheduler(real, seen: Visit):
    own = copy.deepcopy(real)
    vars(own).pop("init_noise_sigma", None) if seen.until != "end" else None
    own.__class__ = _mixed(Listening if seen.until == "end" else Visiting, type(real))
    own.seen = seen
    return own


def _plain(mixed):
    """The scheduler as it is set, of its own class again."""
    own = copy.copy(mixed)
    own.__class__ = type(mixed).__mro__[2]
    return own


def _stand_in(module: nn.Module, **methods: Callable) -> nn.Module:
    own = object.__new__(type(module))
    vars(own).update(vars(module), **methods)
    return own


def _halt(*args: Any, **options: Any) -> None:
    del args, options
    raise Halt


def _known(module: nn.Module, name: str, outputs: dict[str, Any]) -> Callable:
    def forward(*args: Any, **options: Any) -> Any:
        if name not in outputs:
            outputs[name] = module(*args, **options)
        return outputs[name]

    return forward


def _shown(seen: Visit, real: Callable) -> Callable:
    @wraps(real)
    def decode(z: Tensor, *args: Any, **options: Any) -> Any:
        seen.decoded.append(z)
        seen.options = args, options
        if seen.returned is None or sum(part.numel() for part in seen.decoded) >= seen.returned.numel():
            raise Halt
        return real(z, *args, **options)

    return decode
