"""Any pipeline of diffusers as a generator: a velocity is its own call, stopped at its first scheduler step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.account import ASKED, PAIR, apart, compared
from latentlab.generator.pipelines.call import GUIDANCE, Call, Size
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.driver import Visit, codec_name, denoisers
from latentlab.generator.pipelines.layout import Layout, read_layout
from latentlab.generator.pipelines.remembered import Answers, Form, Split, count
from latentlab.generator.pipelines.schedule import (
    check_invertible,
    diffusion_time,
    diffusion_velocity,
    for_flow,
    levels_of,
    preserving,
)
from latentlab.generator.solver import Velocity
from latentlab.shapes import Latents, Video, check_video


class Driven(Coded):
    """A pipeline of diffusers that nobody here wrote a family for.

    Args:
        pipe: the pipeline, which is left as it is.
        call: further arguments of its call, such as `prompt_embeds`, `control_image` or `fps`.
        num_frames, height, width: of its clips; None are the call's own defaults.

    Attributes:
        call: its call.
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
        self.flow = for_flow(pipe.scheduler)
        check_invertible(pipe.scheduler, flow=self.flow)
        self.layouts: dict[Size, Layout] = {}
        self.decoding: tuple[tuple, dict] = ((), {})
        asked = num_frames if self.call.frames else 1, height, width
        with torch.no_grad():
            self._read_captions(asked)
            self._read_size(asked)
            self._read_guidance()
            self.account = compared(self)

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
    def device(self) -> torch.device:
        return self.pipe._execution_device

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

    def settings(self) -> dict[str, Any]:
        marks = [round(self.timestep(s / 16), 6) for s in range(1, 16)]
        kind = "flow" if self.flow else self.pipe.scheduler.config.get("prediction_type")
        plain = {k: v for k, v in sorted(self.call.more.items()) if isinstance(v, str | int | float | bool)}
        return {"prediction_type": kind, "timesteps": marks, "call": plain, **super().settings()}

    # ----------------------------------------------------------------------------------------------- read at the start
    def _read_captions(self, size: Size) -> None:
        """How its encoders answer, and whether they answer several captions at once."""
        call, two = self.call, None
        one = call.answers(PAIR[:1], size)
        if count(fewer := self._unguided(size)) < count(one):
            one, call.neutral = fewer, 0.0  # at a weight of 1 it asked for a second caption
        if call.reads_captions:
            try:
                two = call.answers(PAIR, size)
            except (ValueError, TypeError, RuntimeError, AttributeError, IndexError, AssertionError):
                two = None  # it takes one clip at a time
        self.form, self.batches = Form.of(one, two), two is not None
        self.blank = self.form.condition(one)
        if call.reads_captions:
            other = self.form.condition(call.answers(PAIR[1:], size)).tensors()
            if all(t.shape == other[k].shape and torch.equal(t, other[k]) for k, t in self.blank.tensors().items()):
                raise ValueError(
                    f"{call.name} cannot be driven: captions change no answer of its encoders, so its call reads them "
                    "by itself, where nothing can be kept"
                )

    def _unguided(self, size: Size) -> Answers:
        """Answers at a weight of 0, which some calls refuse."""
        self.call.neutral = 0.0
        try:
            return self.call.answers(PAIR[:1], size)
        except ValueError:
            return self.call.answers(PAIR[:1], size, **{n: 1.0 for n in GUIDANCE if n in self.call.signature})
        finally:
            self.call.neutral = 1.0

    def _read_size(self, asked: Size) -> None:
        """The clips that it makes, and their ratios to latents."""
        layout = self.layout(asked)
        frames, height, width = layout.shape[1:]
        time, space = self.coder.time_ratio, self.coder.space_ratio
        size = (asked[0] or (frames - 1) * time + 1, asked[1] or height * space, asked[2] or width * space)
        self.layouts[size] = layout
        self.ratios = (1 if frames == 1 else round((size[0] - 1) / (frames - 1)), round(size[1] / height))
        fps = next((self.call.signature[name] for name in ("fps", "frame_rate") if name in self.call.signature), None)
        self.config = GeneratorConfig(*size, fps=_number(fps, 8.0), guidance=1.0)

    def _read_guidance(self) -> None:
        """What its call makes of guidance: two captions weighed as latentlab does it, or something of its own."""
        self.guidance, self.split, self.guided_form = "none", None, None
        drawn = np.random.default_rng(0).standard_normal((1, *self.latent_shape), np.float32)
        call, y, s = self.call, torch.from_numpy(drawn).to(self.device), 0.8
        plain = self.predict(y, s, self.blank)
        negative = PAIR[1:] if "negative_prompt" in call.signature else None
        for name in (name for name in GUIDANCE if name in call.signature and name not in call.more):
            call.guided_by = name
            answers = call.answers(PAIR[:1], self.size, guidance=ASKED, negative=negative)
            told = call.arguments([""], self.size, guidance=ASKED, negative=negative and [""])
            guided = self._visited(told, y, s, answers)
            if apart(guided, plain) <= 1e-6:
                continue
            alone, other = (call.answers(captions, self.size) for captions in (PAIR[:1], PAIR[1:]))
            away = self.predict(y, s, self.form.condition(other))
            self.split = Split.of(alone, other, answers)
            if self.split is not None and apart(torch.lerp(away, plain, ASKED), guided) <= 1e-3:
                self.guidance = "classifier-free"
            else:
                self.guidance, self.split, self.guided_form = "its own", None, Form.of(answers)
            self.config = replace(self.config, guidance=_number(call.signature[name], call.neutral) + 1 - call.neutral)
            return
        call.guided_by = None

    # --------------------------------------------------------------------------------------------------------- layouts
    def layout(self, size: Size) -> Layout:
        """Where its states lie in the latents of clips of a size."""
        if size not in self.layouts:
            with torch.no_grad():
                self.layouts[size] = self._read_layout(size)
        return self.layouts[size]

    def _read_layout(self, size: Size) -> Layout:
        call, outputs = self.call, {}
        answers = call.answers(PAIR[:1], size)

        def again(**seen: Any) -> Visit:
            visited = Visit(remembered=answers, outputs=outputs, **seen)
            return call.visit(call.arguments(PAIR[:1], size), visited)

        def enter(state: Tensor) -> Tensor:
            found = again(state=state).at
            return state if found is None else found

        def leave(returned: Tensor) -> Tensor:
            seen = again(returned=returned, until="decode", time=(1.0, 0.5))
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
        return layout

    def _size_of(self, y: Tensor) -> Size:
        """The size of a clip with these latents."""
        if tuple(y.shape[2:]) == self.latent_shape[1:]:
            return self.size
        return self._clip_of(*y.shape[2:])

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        return (frames - 1) // time + 1, height // space, width // space

    def _clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        return (frames - 1) * time + 1, height * space, width * space

    def _fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        time, space = self.ratios
        side = space * self.patch
        if self.call.frames is None:
            return 1, -(-height // side) * side, -(-width // side) * side
        return -(-(frames - 1) // time) * time + 1, -(-height // side) * side, -(-width // side) * side

    @property
    def patch(self) -> int:
        size = getattr(self.denoiser.config, "patch_size", None) or 1
        return size[-1] if isinstance(size, tuple | list) else int(size)

    def _rule(self) -> str:
        time, space = self.ratios
        frames = "one frame" if self.call.frames is None else f"{time}k + 1 frames" if time > 1 else "any frames"
        return f"{frames} and sides that are multiples of {space * self.patch}"

    # ------------------------------------------------------------------------------------------------------ conditions
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
                first frame it is, in [-1, 1].
            told: further arguments of the pipeline's call, such as `prompt_embeds`.

        Raises:
            ValueError: the pipeline has no encoder for this, or reads no image.
        """
        captions = [captions] if isinstance(captions, str) else list(captions)
        images = None if image is None else self._pictures(image)
        if images is not None:
            captions = captions * len(images) if len(captions) == 1 else captions
            images = images * len(captions) if len(images) == 1 else images
        away = None if negative is None else [negative] if isinstance(negative, str) else list(negative)
        if away is not None and len(away) == 1:
            away = away * len(captions)
        if not self.batches and len(captions) > 1:
            rows = [
                self.condition(
                    caption,
                    negative=None if away is None else away[i],
                    image=None if image is None else image[i : i + 1] if len(image) > 1 else image,
                    **told,
                )
                for i, caption in enumerate(captions)
            ]
            return _cat(rows)
        options: dict[str, Any] = {"images": images, **told}
        if self.guidance == "classifier-free" and self.split is not None:
            guided = self.call.answers(captions, self.size, guidance=ASKED, negative=away, **options)
            under, against = self.split.parts(guided, self.form.answers)
            return replace(self.form.condition(under), against=self.form.condition(against))
        condition = self.form.condition(self.call.answers(captions, self.size, **options))
        if self.guidance == "its own" and self.guided_form is not None:
            guided = self.call.answers(captions, self.size, guidance=ASKED, negative=away, **options)
            own = self.guided_form.condition(guided).tensors()
            condition = replace(condition, more={**condition.more, **{f"guided.{k}": v for k, v in own.items()}})
        return condition

    def _pictures(self, image: Tensor) -> list[Image.Image]:
        if not self.call.reads_images:
            raise ValueError(f"this {type(self.pipe).__name__} makes clips of captions alone and reads no image")
        if not isinstance(image, Tensor) or image.ndim not in (4, 5):
            found = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else f"a {type(image).__name__}"
            raise ValueError(
                f"an image is a tensor (batch, 3, height, width) in [-1, 1], as video[:, :, 0]; got {found}"
            )
        frames = (image if image.ndim == 4 else image[:, :, 0]).float().cpu()
        pixels = (frames.movedim(1, -1) * 127.5 + 127.5).round().clamp(0, 255).byte().numpy()
        return [Image.fromarray(frame) for frame in pixels]

    def unconditional(self, condition: Condition) -> Condition:
        if condition.against is not None:
            return condition.against
        empty = self.condition("")
        return empty if empty.against is None else empty.against

    # ------------------------------------------------------------------------------------------------------ velocities
    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        check_invertible(self.pipe.scheduler, flow=self.flow)
        size = self.size if tuple(shape) == self.latent_shape else self._clip_of(*shape[1:])
        told = self.call.arguments(PAIR[:1], size, num_steps=num_steps)
        seen = self.call.visit(told, Visit("schedule", remembered=self.form.answer(self.blank)))
        return levels_of(seen.scheduler, num_steps, flow=self.flow)

    def timestep(self, s: float) -> float:
        """What the network calls a level."""
        config = self.pipe.scheduler.config
        if self.flow:
            return config.get("num_train_timesteps", 1000) * (1 - s if config.get("invert_sigmas") else s)
        if config.get("timestep_type") == "continuous":  # log(sigma) / 4, see `svd`
            sigma = s / (1 - s) if s < 1 else math.inf
            return 0.25 * math.log(min(max(sigma, config["sigma_min"]), config["sigma_max"]))
        return diffusion_time(self.pipe.scheduler)(s)

    def level_of(self, t: float) -> float:
        """The level that the network calls so."""
        low, high = 0.0, 1.0
        rising = self.timestep(0.9) > self.timestep(0.1)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if (self.timestep(middle) < t) == rising else (low, middle)
        return (low + high) / 2

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        return self._called(y, s, condition, 1.0)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        if guidance == 1.0 or self.guidance != "its own":
            return super().network_velocity(condition, guidance)
        condition = condition.to(self.device, self.dtype)
        return lambda y, s: self._called(y.float(), s, condition, guidance).to(y.dtype)

    def told(self, condition: Condition, guidance: float) -> Condition:
        return super().told(condition, 1.0 if self.guidance == "its own" else guidance)

    def _called(self, y: Tensor, s: float, condition: Condition, guidance: float) -> Tensor:
        if len(y) > 1 and not self.batches:
            rows = [slice(i, i + 1) for i in range(len(y))]
            return torch.cat([self._called(y[row], s, condition[row], guidance) for row in rows])
        form, told = self.form, condition
        if guidance != 1.0 and self.guided_form is not None:
            own = {k.removeprefix("guided."): v for k, v in condition.more.items() if k.startswith("guided.")}
            if not own:
                raise ValueError(
                    f"{type(self.pipe).__name__} guides in its own way, and this condition was made without what it "
                    "takes for that; make it by generator.condition(...)"
                )
            form, told = self.guided_form, Condition.from_tensors(own)
        arguments = self.call.arguments([""] * len(y), self._size_of(y), guidance=guidance)
        return self._visited(arguments, y, s, form.answer(told))

    def _visited(self, arguments: Mapping[str, Any], y: Tensor, s: float, answers: Answers) -> Tensor:
        """The velocity that one stopped call tells."""
        layout = self.layout(self._size_of(y))
        inverted = self.pipe.scheduler.config.get("invert_sigmas")
        sigma = (1 - s if inverted else s) if self.flow else s / max(1 - s, 1e-9)
        state = layout.states(y if self.flow else preserving(y, s))
        seen = self.call.visit(arguments, Visit(state=state, time=(self.timestep(s), sigma), remembered=answers))
        if seen.heard is None:
            raise ValueError(f"the call of {self.call.name} took no step at flow time {s}")
        return self.velocity_of(layout.latents(seen.heard, len(y)).to(y.dtype), y, s)

    def velocity_of(self, output: Tensor, y: Tensor, s: float) -> Tensor:
        """The velocity that the network's output is at a state and a level."""
        if self.flow:
            return -output if self.pipe.scheduler.config.get("invert_sigmas") else output
        return diffusion_velocity(output, y, s, self.pipe.scheduler.config.prediction_type)

    # ------------------------------------------------------------------------------------------------------------ codec
    @torch.no_grad()
    def encode(self, video: Video, *, batch_size: int = 1) -> Latents:
        check_video(video=video)
        self.check_fits(video)
        z = torch.cat([self.coder.coded(part) for part in video.split(batch_size)])
        layout = self.layout(self._size_of(z))
        self._check_kept(z.shape[1:], layout.shape, "latents")
        return layout.normal(z)

    @torch.no_grad()
    def decode(self, latents: Latents, *, batch_size: int = 1) -> Video:
        del batch_size  # arguments that its call decodes with are of one clip
        self.check_latents(latents)
        layout = self.layout(self._size_of(latents))
        args, options = self.decoding
        clips = [self.coder.decoded(layout.coded(y[None].to(self.device).float()), *args, **options) for y in latents]
        return torch.cat(clips)


def _number(parameter: inspect.Parameter | None, otherwise: float) -> float:
    """The default of a parameter, where that is a number above 0."""
    value = None if parameter is None else parameter.default
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return otherwise
    return float(value)


def _cat(conditions: Sequence[Condition]) -> Condition:
    """Conditions after one another, with what they are against."""
    all_of = Condition.cat(conditions)
    against = [c.against for c in conditions]
    if any(a is None for a in against):
        return all_of
    return replace(all_of, against=Condition.cat([a for a in against if a is not None]))
