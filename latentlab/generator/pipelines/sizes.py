"""The clips that a driven pipeline takes, and where its states lie in their latents, read off its call by size."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from latentlab.generator.config import GeneratorConfig
from latentlab.generator.pipelines.call import Call, Size, default_of
from latentlab.generator.pipelines.coded import Coded, check_makes
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.driver import denoisers, unheard
from latentlab.generator.pipelines.layout import Layout, read_layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import ONE_AT_A_TIME, PAIR
from latentlab.generator.pipelines.visit import Visit


class Sizes:
    """What depends on the size of clips.

    Args:
        call: of the pipeline.
        coder: its autoencoder.
        asked: frames, height and width of its clips; None are the call's own.

    Attributes:
        config: of the clips that it makes.
        ratios: frames and pixels a side for each latent.
        decoding: arguments and options that its call decodes with.
    """

    def __init__(self, call: Call, coder: Coder, asked: Size) -> None:
        self.call, self.coder = call, coder
        self.decoding: tuple[tuple, dict] = ((), {})
        self.ratios = 1 if call.frames is None else coder.time_ratio, coder.space_ratio
        found = self._read(asked)
        size = self.clip_of(*found[0].shape[1:])
        self._known: dict[Size, tuple[Layout, Path]] = {size: found}
        self._first = size
        self._check(asked, size)
        fps = next((call.signature[name] for name in ("fps", "frame_rate") if name in call.signature), None)
        self.config = GeneratorConfig(*size, fps=default_of(fps, 8.0), guidance=1.0)

    def __getitem__(self, size: Size) -> tuple[Layout, Path]:
        """Where states lie in the latents of clips of a size, and what levels are to them."""
        if size not in self._known:
            with torch.no_grad(), unheard():
                found = self._read(size)
            self._check(size, self.clip_of(*found[0].shape[1:]))
            self._known[size] = found
        return self._known[size]

    def of(self, y: Tensor, own: Size) -> Size:
        """The size of a clip with these latents, its own where they fit."""
        if tuple(y.shape[2:]) == self[own][0].shape[1:]:
            return own
        return self.clip_of(*y.shape[2:])

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Latents of a clip: frames, height and width."""
        time, space = self.ratios
        return (frames - self.coder.alone) // time + self.coder.alone, height // space, width // space

    def clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """The clip of some latents."""
        time, space = self.ratios
        return (frames - self.coder.alone) * time + self.coder.alone, height * space, width * space

    def fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """The smallest length and size from these upwards that it takes."""
        side, time, alone = self.ratios[1] * self.patch, self.coder.frame_step, self.coder.alone
        length = 1 if self.call.frames is None else -(-(frames - alone) // time) * time + alone
        return length, -(-height // side) * side, -(-width // side) * side

    @cached_property
    def patch(self) -> int:
        """Latents a side that its call and its denoiser take together.

        The call's, as where it packs latents two by two, is the least by which a side can grow and the noise with it.
        """
        denoiser = getattr(self.call.pipe, denoisers(self.call.pipe)[0])
        size = denoiser.config.get("patch_size") or 1
        own = size[-1] if isinstance(size, tuple | list) else int(size)
        (frames, height, width), space = self._first, self.ratios[1]
        rows, made = height // space, noise_made(self.call, (frames, height, width))

        def grows(k: int) -> bool:
            return made > 0 and noise_made(self.call, (frames, height + k * space, width)) * rows == made * (rows + k)

        grown = (k for k in (1, 2, 4, 8) if grows(k))
        return math.lcm(own, next(grown, 1))

    def rule(self) -> str:
        """Which clips it takes, in words."""
        time, space = self.ratios
        frames = (
            "one frame"
            if self.call.frames is None
            else f"{time}k{' + 1' * self.coder.alone} frames"
            if time > 1
            else "any frames"
        )
        return f"{frames} and sides that are multiples of {space * self.patch}"

    def _read(self, size: Size) -> tuple[Layout, Path]:
        """By calls that are stopped: numbered states are followed to the first step, and from it to the autoencoder."""
        call, outputs, path = self.call, {}, Path.of(self.call.pipe.scheduler)
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

        try:
            first = again()
        except RuntimeError as error:
            raise call.unread(error) from error
        if first.made is None or first.at is None:
            raise ValueError(f"{call.name} cannot be driven: its call takes no step from its own noise")
        try:
            layout = read_layout(tuple(first.made.shape), tuple(first.at.shape), enter, leave)
        except ValueError as error:
            raise ValueError(f"{call.name} cannot be driven: {error}") from error
        if "num_frames" in self.decoding[1]:  # a decoder whose frames see their neighbours
            self.coder.frames_at_once, self.coder.temporal_decoder = self.decoding[1]["num_frames"], True
        return layout, path.at(first.scheduler)

    def _check(self, asked: Size, made: tuple[int, int, int]) -> None:
        """Raises unless the clips that it makes are those that were asked for: some calls round, and say so at most."""
        frames, height, width = (own if given is None else given for given, own in zip(asked, made, strict=True))
        if (frames, height, width) != made:
            check_makes(self.call.name, self.rule(), (frames, height, width), self.fitting)
            own, tall, wide = made
            raise ValueError(
                f"{self.call.name} makes {own} frames of {tall} x {wide} where {frames} of {height} x {width} were "
                f"asked for; ask for num_frames={own}, height={tall}, width={wide}"
            )


def noise_made(call: Call, size: Size) -> int:
    """Numbers in the noise that a call makes for a clip of some size; 0 where it takes none of that size."""
    try:
        with torch.no_grad(), unheard():
            seen = call.visit(call.arguments(PAIR[:1], size), Visit("network"))
    except ONE_AT_A_TIME:
        return 0
    return 0 if seen.made is None else seen.made.numel()


def held_to(call: Call, coder: Coder, asked: Size, num_frames: int, side: int) -> Size:
    """What is asked of a call: where nothing is, so many frames and pixels a side, or its own if that is less noise.

    A side is one of those from there upwards at which the noise is a fourth of that of twice the side: none is rounded.
    """
    frames = -(-(num_frames - coder.alone) // coder.frame_step) * coder.frame_step + coder.alone
    length, height, width = asked

    def held(side: int) -> Size:
        return length or (frames if call.frames else 1), height or side, width or side

    for multiple in (coder.space_ratio * k for k in (1, 2, 4, 8)):
        fit = -(-side // multiple) * multiple
        free = (height is None) + (width is None)
        if (made := noise_made(call, held(fit))) and noise_made(call, held(2 * fit)) == 2**free * made:
            return held(fit) if made < noise_made(call, asked) else asked
    return asked


class Sized(Coded):
    """A pipeline whose sizes are read off its call.

    Attributes:
        sizes: what depends on them.
    """

    sizes: Sizes

    def layout(self, size: Size) -> Layout:
        """Where its states lie in the latents of clips of a size."""
        return self.sizes[size][0]

    def path(self, size: Size) -> Path:
        """What levels are to it, for clips of a size."""
        return self.sizes[size][1]

    @property
    def _name(self) -> str:
        return self.sizes.call.name

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.grid(frames, height, width)

    def _clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.clip_of(frames, height, width)

    def _fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.fitting(frames, height, width)

    def _rule(self) -> str:
        return self.sizes.rule()
