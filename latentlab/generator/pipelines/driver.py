"""Drives the own `__call__` of a pipeline of diffusers: to its schedule, its network, its first step, or its decoder.

The call is made on a shallow copy of the pipeline, in which a few parts stand in for its own: a scheduler that visits
one level and keeps what comes to its step, encoders that return what they returned before, an autoencoder that shows
what is decoded. The pipeline itself is not touched, so nobody else who holds it, in whatever thread, meets any of that.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from types import MethodType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from latentlab.generator.pipelines.foreign import MakesNoise, OfPipeline, check_scheduled, hook_of, network, part
from latentlab.generator.pipelines.visit import Halt, Visit
from latentlab.generator.pipelines.visiting import visiting

CODECS = ("vae", "movq", "vqgan", "vqvae")  # what pipelines call their autoencoder
P = ParamSpec("P")
T = TypeVar("T")
HOLES = ("prepare_mask", "prepare_video_latents")  # methods that tell the network what is known of a clip, and where
PICTURED = ("mask_image", "mask", "controlnet_conditioning_scale")  # calls that fill a hole, or follow a picture
DENOISERS = ("transformer", "unet", "transformer_2", "unet_2", "prior", "decoder")  # what they call their denoisers


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
    check_scheduled(pipe)
    parts["scheduler"] = visiting(pipe.scheduler, seen)
    parts["maybe_free_model_hooks"] = lambda: None  # whoever drives does that, once it is done with the networks
    calls = Calls(seen)
    for name in encoders(type(pipe)):
        parts[name] = calls.of(name, _of(own, getattr(pipe, name)))
    if isinstance(pipe, MakesNoise):
        parts["prepare_latents"] = calls.noise(_of(own, pipe.prepare_latents))
    if seen.until == "network":
        for name in denoisers(pipe):
            parts[name] = _stand_in(getattr(pipe, name), forward=_halt)
    elif seen.outputs is not None:
        for name in denoisers(pipe):
            parts[name] = _stand_in(getattr(pipe, name), forward=_known(getattr(pipe, name), name, seen.outputs))
    name = codec_name(pipe)
    if name is not None:
        fixed = any(name in told for name in PICTURED)
        parts[name] = _stand_in(getattr(pipe, name), **_coding(getattr(pipe, name), seen, fixed))
    with suppress(Halt):
        _graded(type(pipe))(own, **told)
    return seen


@lru_cache(maxsize=64)
def _graded(kind: type) -> Callable:
    """The call of a class of pipelines, without the `no_grad` that is around it."""
    call = kind.__call__
    return inspect.unwrap(call, stop=lambda inner: inner is not call)


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
    hooks = hook_of(first) is not None, part(first, "_diffusers_hook") is not None
    seen = next(first.parameters()).device, hooks, id(part(pipe, "_offload_device"))
    known = _DEVICES.get(first)
    if known is None or known[0] != seen:
        known = _DEVICES[first] = seen, pipe._execution_device
    return known[1]


@lru_cache(maxsize=64)
def encoders(kind: type) -> list[str]:
    """Methods of a class of pipelines that read captions and images."""
    starts = ("encode_", "_encode_", "prepare_image", "prepare_cond", "prepare_ip_adapter", "prepare_reference")
    starts += HOLES
    found = [name for name in dir(kind) if name.startswith(starts) and inspect.isfunction(getattr(kind, name))]
    return [name for name in found if "prepare_image" not in name or "latents" in name or "embed" in name]


def denoisers(pipe) -> list[str]:
    """Names of the networks between noise and latents, in the order of `DENOISERS`."""
    return [name for name in DENOISERS if network(pipe, name) is not None]


def codec_name(pipe) -> str | None:
    """Name of the autoencoder, if there is one."""
    return next((name for name in CODECS if network(pipe, name) is not None), None)


def moved_back(method: Callable[P, T]) -> Callable[P, T]:
    """A method after which the networks of an offloading pipeline wait where they waited before."""

    @wraps(method)
    def done(*args: P.args, **options: P.kwargs) -> T:
        try:
            return method(*args, **options)
        finally:
            own = args[0]
            if isinstance(own, OfPipeline) and part(own.pipe, "_all_hooks"):
                own.pipe.maybe_free_model_hooks()

    return done


@contextmanager
def unheard() -> Iterator[None]:
    """What diffusers warns of in this thread is not shown: while sizes and captions of ours are tried, nobody asked."""
    here = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= logging.ERROR

    handlers = [*logging.getLogger("diffusers").handlers]
    for handler in handlers:
        handler.addFilter(others)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(others)


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


def _stand_in(module: nn.Module, **methods: Callable) -> nn.Module:
    own = object.__new__(type(module))
    vars(own).update(vars(module), **methods)
    return own


def _of(own: Any, method: Callable) -> Callable:
    """A pipeline's method as that of its copy, whose parts it meets."""
    return MethodType(method.__func__, own) if inspect.ismethod(method) else method


def _halt(*args: Any, **options: Any) -> None:
    del args, options
    raise Halt


def _known(module: nn.Module, name: str, outputs: dict[str, Any]) -> Callable:
    def forward(*args: Any, **options: Any) -> Any:
        if name not in outputs:
            outputs[name] = module(*args, **options)
        return outputs[name]

    return forward


def _coding(vae: Any, seen: Visit, fixed: bool) -> dict[str, Callable]:
    """Methods of an autoencoder that take any precision, as pipelines give it the denoiser's; `decode` stops the call
    where that is asked, or there is nothing more to see. What surrounds a hole that the call fills, a picture that its
    branch follows, and what it encodes without a generator, are coded by the mode: no answer depends on a draw."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    @wraps(vae.encode)
    def encode(x: Tensor, *args: Any, **options: Any) -> Any:
        found = vae.encode(x.to(vae.dtype), *args, **options)
        posterior: Any = found[0]
        if isinstance(posterior, DiagonalGaussianDistribution):
            draw, mode = posterior.sample, posterior.mode
            posterior.sample = lambda generator=None: mode() if fixed or generator is None else draw(generator)
        return found

    @wraps(vae.decode)
    def decode(z: Tensor, *args: Any, **options: Any) -> Any:
        if seen.until == "decode":
            seen.decoded.append(z)
            seen.options = args, options
        if seen.returned is None or sum(part.numel() for part in seen.decoded) >= seen.returned.numel():
            raise Halt
        return vae.decode(z.to(vae.dtype), *args, **options)

    return {"encode": encode, "decode": decode}
