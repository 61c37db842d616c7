"""A pipeline's own control branch, ControlNets or the layers of Wan VACE, beside a generator of the same networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentlab.generator.pipelines.account import PipelineAccount, compared
from latentlab.generator.pipelines.call import Call
from latentlab.generator.pipelines.controlled import ControlledCall, calling
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.families import diffusers_for, read_json
from latentlab.generator.pipelines.foreign import class_named
from latentlab.generator.pipelines.holes import hole_parts

BranchSource = str | Path | nn.Module


class PipelineControl(nn.Module):
    """The branch of a pipeline, which its own call runs beside the denoiser.

    Args:
        generator: whose denoiser it is beside.
        pipe: that has the branch, and the networks of the generator's.
        kinds: names of its pictures, one for each ControlNet; none is one picture of any name.

    Attributes:
        account: how near two controlled steps come to those of that pipeline's own call.

    Raises:
        ValueError: a pipeline without a branch, or with one whose steps are not those of its own call.
    """

    def __init__(self, generator: Driven, pipe: Any, kinds: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.kinds, self.call = kinds, Call(pipe, generator.call.more)
        self.call.guided_by, self.call.neutral = generator.call.guided_by, generator.call.neutral
        if self.call.control is None:
            raise ValueError(f"{self.call.name} has no control branch")
        self._generator = [generator]  # in a list, so that it is no part of this network
        self.branch: nn.Module = pipe.components.get("controlnet") or generator.denoiser
        self.account = self._account()

    @property
    def denoiser(self) -> nn.Module:
        """That it is beside."""
        return self._generator[0].denoiser

    def heard(self, pictures: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the call is told of pictures `(batch, 3, frame, height, width)` in [0, 1]: VACE's are encoded once."""
        if self._argument != "video":
            black = torch.zeros_like(next(iter(pictures.values())))
            return {kind: pictures.get(kind, black) for kind in self.kinds or pictures}
        (clip,) = pictures.values()
        return hole_parts(self._generator[0].condition_of_hole("", 2 * clip - 1, torch.ones_like(clip[:, :1])))

    @contextmanager
    def on(self, told: Mapping[str, Tensor], weights: Mapping[str, float], strength: float = 1.0) -> Iterator[None]:
        """Calls of the generator run the branch, for as long as the block lasts.

        Args:
            told: of pictures, see `heard`.
            weights: of the kinds that act.
            strength: of the whole.
        """
        scales = [strength * weights.get(kind, 0.0) for kind in self.kinds or weights]
        with calling(ControlledCall(self.denoiser, self.call, told, scales)):
            yield

    @property
    def _argument(self) -> str:
        return (self.call.control or ("",))[0]

    @torch.no_grad()
    def _account(self) -> PipelineAccount:
        """Two steps of the pipeline's own call under a picture against the same by stopped calls."""
        generator, kinds = self._generator[0], self.kinds or ("picture",)
        c, seed = generator.config, torch.Generator().manual_seed(0)
        card = torch.randint(256, (1, 3, c.num_frames, c.height, c.width), generator=seed) / 255
        pictures, ones = dict.fromkeys(kinds, card), dict.fromkeys(kinds, 1.0)
        told = self.heard(pictures)
        own = ControlledCall(self.denoiser, self.call, told, [1.0] * len(kinds)).arguments(1)
        clip = {"video": card.movedim(1, 2)} if self._argument == "video" else {}
        call = Call(self.call.pipe, {**generator.call.more, **own, **clip})
        call.guided_by, call.neutral = self.call.guided_by, self.call.neutral
        size = generator.size
        with self.on(told, ones):
            return compared(generator, call, generator.reading, size, generator.layout(size), generator.path(size))


def pipeline_control(source: BranchSource | Mapping[str, BranchSource] | None, generator: Driven) -> PipelineControl:
    """The control branch of a pipeline.

    Args:
        source: folder of a ControlNet as diffusers writes it, or one that is held in memory; several by the names of
            their pictures; None is the branch that the pipeline has.
        generator: of a pipeline that the branch was trained beside.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no ControlNet; one that does not go with this pipeline; a pipeline without a branch of its own.
    """
    if source is None:
        return PipelineControl(generator, generator.pipe)
    named = source if isinstance(source, Mapping) else {"": source}
    nets = [_read(each, generator) for each in named.values()]
    diffusers = diffusers_for("a ControlNet")
    try:
        pipe = diffusers.AutoPipelineForText2Image.from_pipe(
            generator.pipe, controlnet=nets[0] if len(nets) == 1 else nets
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"diffusers has no {type(generator.pipe).__name__} with a ControlNet: {error}") from error
    pipe.set_progress_bar_config(disable=True)
    return PipelineControl(generator, pipe, tuple(named) if isinstance(source, Mapping) else ())


def _read(source: BranchSource, generator: Driven) -> nn.Module:
    if isinstance(source, nn.Module):
        return source.to(generator.device).eval().requires_grad_(False)
    folder = Path(source)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no config.json of a ControlNet of diffusers")
    name = str(read_json(folder / "config.json").get("_class_name"))
    kind = class_named(diffusers_for(folder), name)
    if "ControlNet" not in name or not isinstance(kind, type):
        raise ValueError(f"{folder} holds a {name}, expected a ControlNet of diffusers")
    network: Any = kind
    return _read(network.from_pretrained(folder, dtype=generator.dtype, use_safetensors=True), generator)
