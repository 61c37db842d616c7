"""The clips that a driven pipeline takes, and where its states lie in their latents, read off its call by size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentlab.generator.config import GeneratorConfig
from latentlab.generator.pipelines.call import Call, Size, default_of
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.coder import Coder
from latentlab.generator.pipelines.driver import denoisers
from latentlab.generator.pipelines.layout import Layout, read_layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import PAIR
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
        layout, path = self._read(asked)
        frames, height, width = layout.shape[1:]
        time, space, alone = coder.time_ratio, coder.space_ratio, coder.alone
        size = (asked[0] or (frames - alone) * time + alone, asked[1] or height * space, asked[2] or width * space)
        self._known: dict[Size, tuple[Layout, Path]] = {size: (layout, path)}
        self.ratios = (1 if frames == 1 else round((size[0] - alone) / (frames - alone)), round(size[1] / height))
        fps = next((call.signature[name] for name in ("fps", "frame_rate") if name in call.signature), None)
        self.config = GeneratorConfig(*size, fps=default_of(fps, 8.0), guidance=1.0)

    def __getitem__(self, size: Size) -> tuple[Layout, Path]:
        """Where states lie in the latents of clips of a size, and what levels are to them."""
        if size not in self._known:
            with torch.no_grad():
                self._known[size] = self._read(size)
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
        time, space = self.ratios
        side = space * self.patch
        if self.call.frames is None:
            return 1, -(-height // side) * side, -(-width // side) * side
        alone = self.coder.alone
        return -(-(frames - alone) // time) * time + alone, -(-height // side) * side, -(-width // side) * side

    @property
    def patch(self) -> int:
        """Latents a side that the denoiser takes together."""
        denoiser = getattr(self.call.pipe, denoisers(self.call.pipe)[0])
        size = denoiser.config.get("patch_size") or 1
        return size[-1] if isinstance(size, tuple | list) else int(size)

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

    def _latent_grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.grid(frames, height, width)

    def _clip_of(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.clip_of(frames, height, width)

    def _fitting(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        return self.sizes.fitting(frames, height, width)

    def _rule(self) -> str:
        return self.sizes.rule()
