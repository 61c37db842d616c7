"""Any pipeline of diffusers as a generator: a velocity is its own call, stopped at its first scheduler step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.inverted import Inverted
from latentlab.generator.pipelines.account import HALF, ROUNDING, compared
from latentlab.generator.pipelines.call import Call, Size
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.driver import Visit, codec_name, denoisers, device_of
from latentlab.generator.pipelines.layout import Layout, read_layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import (
    ONE_AT_A_TIME,
    PAIR,
    apart,
    pictures,
    read_captions,
    read_guidance,
)
from latentlab.generator.pipelines.remembered import Answers, differing
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Video, check_video
from latentlab.tensors import tensor_digest

P = ParamSpec("P")
T = TypeVar("T")


def _moved_back(method: Callable[P, T]) -> Callable[P, T]:
    """A method after which the networks of an offloading pipeline wait where they waited before."""

    @wraps(method)
    def done(*args: P.args, **options: P.kwargs) -> T:
        try:
            return method(*args, **options)
        finally:
            pipe: Any = getattr(args[0], "pipe", None)
            if getattr(pipe, "_all_hooks", None):
                pipe.maybe_free_model_hooks()

    return done


class Driven(Coded):
    """A pipeline of diffusers that nobody here wrote a family for.

    Args:
        pipe: the pipeline, which is left as it is.
        call: further arguments of its call, such as `prompt_embeds`, `control_image` or `fps`.
        num_frames, height, width: of its clips; None are the call's own defaults.

    Attributes:
        call: its call.
        reading: how its encoders answer, and what its call makes of guidance.
        account: what was read of it, and how near it comes to that call.

    Raises:
        ValueError: a pipeline that cannot be driven; the message says why.
    """

    capturable = False

    def __init__(
        self,
        pipe,
        *,
        call: Mapping[str, Any] | None = None,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> None:
        self.pipe, self.call = pipe, Call(pipe, call or {})
        for part in pipe.components.values():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False)
        self.coder = Coder(getattr(pipe, codec_name(pipe) or ""))
        self.layouts: dict[Size, tuple[Layout, Path]] = {}
        self.decoding: tuple[tuple, dict] = ((), {})
        asked = num_frames if self.call.frames else 1, height, width
        with torch.no_grad():
            path = Path.of(pipe.scheduler)
            self.reading = read_captions(self.call, asked)
            self._read_size(asked, path)
            self.reading = read_guidance(self.reading, self.size, self._probed)
            if self.reading.guidance != "none" and self.call.guided_by:
                weight = _number(self.call.signature[self.call.guided_by], self.call.neutral)
                self.config = replace(self.config, guidance=weight + 1 - self.call.neutral)
            if self.reading.batches and not self._takes_two():
                self.reading = replace(self.reading, batches=False)
            size = self.size
            self.account = compared(self, self.call, self.reading, size, self.layout(size), self.path(size))

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}; {self.account})"

    # ---------------------------------------------------------------------------------------------- what it is made of
    @property
    def denoiser(self):
        """The network between noise and latents."""
        return getattr(self.pipe, denoisers(self.pipe)[0])

    @property
    def networks(self) -> Sequence[nn.Module]:
        return self.coder.vae, *(getattr(self.pipe, name) for name in reversed(denoisers(self.pipe)))

    @property
    def adaptable(self) -> dict[str, nn.Module]:
        """The text encoders and denoisers by the names that files of adapters call them, the first denoiser last."""
        parts = {name: part for name, part in self.pipe.components.items() if isinstance(part, nn.Module)}
        text = {name: part for name, part in parts.items() if name.startswith("text_encoder")}
        return text | {name: parts[name] for name in reversed(denoisers(self.pipe))}

    @property
    def device(self) -> torch.device:
        return device_of(self.pipe)

    @property
    def dtype(self) -> torch.dtype:
        return self.denoiser.dtype

    @property
    def size(self) -> Size:
        """Frames, height and width of its clips."""
        return self.config.num_frames, self.config.height, self.config.width

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        return self.layout(self.size).shape

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Self:
        self.pipe.to(device)
        if dtype is not None:
            for name in denoisers(self.pipe):
                getattr(self.pipe, name).to(dtype=dtype)
        return self

    def offload(self, device: str | torch.device | None = None) -> Self:
        """The same generator, whose networks wait in the memory of the CPU; each goes to `device` while it works.

        That is diffusers' model offload; after `condition`, `sample`, `invert`, `encode` and `decode` all of them wait
        again. None is the accelerator that is there.

        Raises:
            RuntimeError: there is none.
        """
        self.pipe.enable_model_cpu_offload(device=device)
        return self

    def settings(self) -> dict[str, Any]:
        given = {name: _identity(value) for name, value in sorted(self.call.more.items()) if value is not None}
        return {**self.path(self.size).settings(), "call": given, **super().settings()}

    # ----------------------------------------------------------------------------------------------------------- sizes
    def layout(self, size: Size) -> Layout:
        """Where its states lie in the latents of clips of a size."""
        return self._known(size)[0]

    def path(self, size: Size) -> Path:
        """What levels are to it, for clips of a size."""
        return self._known(size)[1]

    def _known(self, size: Size) -> tuple[Layout, Path]:
        if size not in self.layouts:
            with torch.no_grad():
                self.layouts[size] = self._read_layout(size, Path.of(self.pipe.scheduler))
        return self.layouts[size]

    def _read_size(self, asked: Size, path: Path) -> None:
        """The clips that it makes, and their ratios to latents."""
        layout, path = self._read_layout(asked, path)
        frames, height, width = layout.shape[1:]
        time, space = self.coder.time_ratio, self.coder.space_ratio
        alone = self.coder.alone
        size = (asked[0] or (frames - alone) * time + alone, asked[1] or height * space, asked[2] or width * space)
        self.layouts[size] = layout, path
        self.ratios = (1 if frames == 1 else round((size[0] - alone) / (frames - alone)), round(size[1] / height))
        fps = next((self.call.signature[name] for name in ("fps", "frame_rate") if name in self.call.signature), None)
        self.config = GeneratorConfig(*size, fps=_number(fps, 8.0), guidance=1.0)

    def _read_layout(self, size: Size, path: Path) -> tuple[Layout, Path]:
        call, outputs = self.call, {}
        answers = call.answers(PAIR[:1], size)

        def again(**seen: Any) -> Visit:
            visited = Visit(remembered=answers, outputs=outputs, **seen)
            return call.visit(call.arguments(PAIR[:1], size, num_steps=4), visited)

        def enter(state: Tensor) -> Tensor:
            found = again(state=lambda made: state.reshape(made.shape)).at
            return state if found is None else found

        def leave(returned: Tensor) -> Tensor:
            seen = again(returned=path.unit * returned, until="decode", time=(1.0, 0.5))
            if not seen.decoded:
                raise ValueError("what it steps does not come to its autoencoder")
            self.decoding = seen.options
            return torch.cat(seen.decoded).float().cpu()

        first = again()
        if first.made is None or first.at is None:
            raise ValueError(f"{call.name} cannot be driven: its call takes no step from its own noise")
        try:
            layout = read_layout(tuple(first.made.shape), tuple(first.at.shape), enter, leave)
        except ValueError as error:
            raise ValueError(f"{call.name} cannot be driven: {error}") from error
        if "num_frames" in self.decoding[1]:  # a decoder whose frames see their neighbours
            self.coder.frames_at_once, self.coder.temporal_decoder = self.decoding[1]["num_frames"], True
        return layout, path.at(first.scheduler)

    def _size_of(self, y: Tensor) -> Size:
        """The size of a clip with these latents."""
        if tuple(y.shape[2:]) == self.latent_shape[1:]:
            return self.size
        return self._clip_of(*y.shape[2:])

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        return (frames - self.coder.alone) // time + self.coder.alone, height // space, width // space

    def _clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        return (frames - self.coder.alone) * time + self.coder.alone, height * space, width * space

    def _fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        side = space * self.patch
        if self.call.frames is None:
            return 1, -(-height // side) * side, -(-width // side) * side
        alone = self.coder.alone
        return -(-(frames - alone) // time) * time + alone, -(-height // side) * side, -(-width // side) * side

    @property
    def patch(self) -> int:
        size = getattr(self.denoiser.config, "patch_size", None) or 1
        return size[-1] if isinstance(size, tuple | list) else int(size)

    def _rule(self) -> str:
        time, space = self.ratios
        frames = (
            "one frame"
            if self.call.frames is None
            else f"{time}k{' + 1' * self.coder.alone} frames"
            if time > 1
            else "any frames"
        )
        return f"{frames} and sides that are multiples of {space * self.patch}"

    # ------------------------------------------------------------------------------------------------------ conditions
    @_moved_back
    @torch.no_grad()
    def condition(
        self,
        captions: str | Sequence[str] = "",
        *,
        negative: str | Sequence[str] | None = None,
        image: Tensor | None = None,
        **told: Any,
    ) -> Condition:
        """What the denoiser is told, through the pipeline's own encoders, whose answers are kept.

        Args:
            captions: one or several.
            negative: what guidance leads away from; None is what the pipeline takes by itself.
            image: what the clip is made of, for a pipeline that reads one: `(batch, 3, height, width)`, or clips whose
                first frame it is, in [-1, 1]; None is a grey one.
            told: further arguments of the pipeline's call, such as `prompt_embeds`.

        Raises:
            ValueError: the pipeline has no encoder for this, or reads no image.
        """
        if image is not None and not self.call.reads_images:
            raise ValueError(f"this {self.call.name} makes clips of captions alone and reads no image")
        images = None if image is None else pictures(image)
        if images is not None and not self._keeps(images[:1]):
            raise ValueError(
                f"the call of {self.call.name} reads its image by itself, where nothing can be kept; load the pipeline "
                "with call={'image': ...}"
            )
        said = [captions] if isinstance(captions, str) else list(captions)
        count = max(len(said), len(images or ()))
        said, images = (
            said * count if len(said) == 1 else said,
            images * count if images and len(images) == 1 else images,
        )
        away = [negative] if isinstance(negative, str) else None if negative is None else list(negative)
        away = away * count if away is not None and len(away) == 1 else away
        condition = self.reading.condition(said, self.size, negative=away, images=images, **told)
        if self.layout(self.size).held.any():
            condition = replace(condition, parts={**condition.parts, "held": self._held(condition)})
        return condition

    def _keeps(self, images: Sequence[Image.Image]) -> bool:
        """Whether an image is among what encoders answer, so that a condition holds it."""
        black = [Image.new("RGB", images[0].size)]
        seen = (self.call.answers(PAIR[:1], self.size, images=given) for given in (images, black))
        return bool(differing(*seen)) or not np.asarray(images[0]).any()

    def _held(self, condition: Condition) -> Float[Tensor, "batch latent"]:
        """Latents that no step moves: what comes to the autoencoder in their places."""
        layout, rows = self.layout(self.size), range(len(condition))
        batches = [slice(None)] if self.reading.batches else [slice(i, i + 1) for i in rows]
        found = []
        for each in batches:
            told = condition[each]
            start = torch.zeros(len(told) * layout.stepped[0], *layout.stepped[1:])
            seen = Visit("decode", returned=start, time=(1.0, 0.5), remembered=self.reading.answers(told, 1.0))
            self.call.visit(self.call.arguments([""] * len(told), self.size), seen)
            z = layout.normal(layout.of_clips(torch.cat(seen.decoded).float(), len(told)))
            found.append(z[:, layout.held.to(z.device)])
        return torch.cat(found)

    def completed(self, latents: Latents, condition: Condition) -> Latents:
        """The latents, with the image's where those are held."""
        held = self.layout(self._size_of(latents)).held.to(latents.device)
        if not held.any():
            return latents
        told = condition.parts.get("held")
        if told is None or told.shape[1] != int(held.sum()):
            raise ValueError(
                f"{self.call.name} holds the image's latents in {int(held.sum())} places, of which this condition says "
                f"{'nothing' if told is None else told.shape[1]}; make it by generator.condition(..., image=...) at "
                "this size"
            )
        filled = torch.zeros(len(told), *held.shape, dtype=latents.dtype, device=latents.device)
        filled[:, held] = told.to(latents)
        return torch.where(held, filled, latents)

    def _led_away(self, caption: str) -> Condition:
        negative = self.condition("", negative=caption).negative
        return self.condition(caption) if negative is None else negative

    def unconditional(self, condition: Condition) -> Condition:
        if condition.negative is not None:
            return condition.negative
        if self.negative:
            return self.negative[1]
        empty = self.condition("")
        return empty if empty.negative is None else empty.negative

    # ------------------------------------------------------------------------------------------------------ velocities
    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        Path.of(self.pipe.scheduler)  # another may have been put in its place
        size = self.size if tuple(shape) == self.latent_shape else self._clip_of(*shape[1:])
        told = self.call.arguments(PAIR[:1], size, num_steps=num_steps)
        # Up to the network: some calls change the last level after the schedule is set.
        seen = self.call.visit(told, Visit("network", remembered=self.reading.form.answer(self.reading.blank)))
        return self.path(size).levels(seen.scheduler, num_steps)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        return self._called(y, s, condition, 1.0)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        condition = condition.to(self.device, self.dtype)
        if guidance != 1.0 and self.reading.guidance == "classifier-free":
            empty = self.unconditional(condition).to(self.device, self.dtype).expand(len(condition))
            if any(t.shape[1:] != empty.parts[k].shape[1:] for k, t in condition.parts.items() if k in empty.parts):
                without, under = super().network_velocity(empty), super().network_velocity(condition)
                return lambda y, s: torch.lerp(without(y, s), under(y, s), guidance)
        if guidance == 1.0 or self.reading.guidance != "its own":
            return super().network_velocity(condition, guidance)
        return lambda y, s: self._called(y.float(), s, condition, guidance).to(y.dtype)

    def told(self, condition: Condition, guidance: float) -> Condition:
        return super().told(condition, 1.0 if self.reading.guidance == "its own" else guidance)

    def _called(self, y: Tensor, s: float, condition: Condition, guidance: float) -> Tensor:
        if len(y) > 1 and not self.reading.batches:
            rows = [slice(i, i + 1) for i in range(len(y))]
            return torch.cat([self._called(y[row], s, condition[row], guidance) for row in rows])
        arguments = self.call.arguments([""] * len(y), self._size_of(y), guidance=guidance)
        return self._visited(arguments, y, s, self.reading.answers(condition, guidance))

    def _visited(self, arguments: Mapping[str, Any], y: Tensor, s: float, answers: Answers) -> Tensor:
        """The velocity that one stopped call tells."""
        layout, path = self._known(self._size_of(y))
        seen = Visit(
            state=lambda made: layout.placed(path.state(y, s), made),
            time=(path.timestep(s), path.sigma(s)),
            remembered=answers,
        )
        self.call.visit(arguments, seen)
        if seen.heard is None:
            raise ValueError(f"the call of {self.call.name} took no step at flow time {s}")
        v = path.velocity(layout.latents(seen.heard, len(y)).to(y.dtype), y, s)
        held = layout.held.to(y.device)
        return torch.where(held, torch.zeros_like(v), v) if held.any() else v

    def _takes_two(self) -> bool:
        """Whether two clips together are what each is alone."""
        y = self.noise(2, seed=0)
        try:
            both = self.predict(y, 0.8, self.condition(PAIR))
        except ONE_AT_A_TIME:
            return False
        each = [self.predict(y[i : i + 1], 0.8, self.condition(caption)) for i, caption in enumerate(PAIR)]
        return apart(both, torch.cat(each)) <= ROUNDING.get(self.dtype, HALF)

    def _probed(self, arguments: Mapping[str, Any], answers: Answers) -> Tensor:
        """A velocity at some state."""
        drawn = np.random.default_rng(0).standard_normal((1, *self.latent_shape), np.float32)
        return self._visited(arguments, torch.from_numpy(drawn).to(self.device), 0.8, answers)

    @_moved_back
    def sample(self, *args: Any, **options: Any) -> Latents:
        return super().sample(*args, **options)

    @_moved_back
    def invert(self, *args: Any, **options: Any) -> Inverted:
        return super().invert(*args, **options)

    # ------------------------------------------------------------------------------------------------------------ codec
    @_moved_back
    @torch.no_grad()
    def encode(self, video: Video, *, batch_size: int = 1) -> Latents:
        check_video(video=video)
        self.check_fits(video)
        z = torch.cat([self.coder.coded(part) for part in video.split(batch_size)])
        layout = self.layout(self._size_of(z))
        self._check_kept(z.shape[1:], layout.shape, "latents")
        return layout.normal(z)

    @_moved_back
    @torch.no_grad()
    def decode(self, latents: Latents, *, batch_size: int = 1) -> Video:
        del batch_size  # arguments that its call decodes with are of one clip
        self.check_latents(latents)
        layout = self.layout(self._size_of(latents))
        args, options = self.decoding
        clips = [self.coder.decoded(layout.coded(y[None].to(self.device).float()), *args, **options) for y in latents]
        return torch.cat(clips)


def _identity(value: Any) -> Any:
    """An argument of a call as a record holds it: tensors and pictures by their content."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): _identity(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_identity(part) for part in value]
    if isinstance(value, Tensor):
        return tensor_digest(value)
    if isinstance(value, Image.Image | np.ndarray):
        return tensor_digest(torch.from_numpy(np.array(value)))
    return type(value).__name__


def _number(parameter: inspect.Parameter | None, otherwise: float) -> float:
    """The default of a parameter, where that is a number above 0."""
    value = None if parameter is None else parameter.default
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return otherwise
    return float(value)
