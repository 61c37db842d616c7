"""One good call of each public function of `latentlab.control` that `doors` has none of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny
import torch

import latentlab as ll
from latentlab import control
from latentlab.generator.networks.control import ControlNetwork
from latentlab.generator.networks.known_region import KnownRegionNetwork
from latentlab.generator.networks.reference import ReferenceNetwork
from latentlab.generator.update import LowRank
from latentlab.weights import save_weights

Call = tuple[Callable[..., Any], dict[str, Any]]

CAPTION = "a red star"
generator = functools.cache(tiny.generator)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LATENTS = draw(1, 2, 4, 2, 2)
CLIP = draw(1, 3, 4, 16, 16, seed=1).div(4).clamp(-1, 1)
MASK = torch.eye(16).expand(1, 1, 4, 16, 16)


def guided(guide: Callable[..., Any], **arguments: Any) -> Callable[[], Call]:
    """A guide, made and asked in one step of sampling."""

    def drawn(**given: Any) -> torch.Tensor:
        return generator().guided(guide(**given)).generate(CAPTION, num_steps=1)

    return lambda: (drawn, arguments)


def on_masks(function: Callable[..., Any], **more: Any) -> Callable[[], Call]:
    return lambda: (function, {"mask": MASK, **more})


def adapter() -> ll.Adapter:
    return ll.Adapter({"middle.space.modulate": LowRank(draw(1, 32), draw(64, 1), alpha=1.0)}, name="ink")


def _saved(network: Any, name: str) -> Path:
    path = Path(name)
    save_weights(path, network, network.header())
    return path


def _mask_file() -> Path:
    path = Path("mask.png")
    ll.video.write(path, MASK[:, :, :1].expand(-1, 3, -1, -1, -1) * 2 - 1)
    return path


def _branch() -> ControlNetwork:
    return ControlNetwork(generator().denoiser, ratio=8)


def _known_region() -> KnownRegionNetwork:
    return KnownRegionNetwork(generator().denoiser, rank=1)


def _reference() -> ReferenceNetwork:
    return ReferenceNetwork(generator().denoiser, embed_dim=generator().clip_model.config.embed_dim)


def _maps() -> control.WordMaps:
    return control.word_maps(generator(), LATENTS, CAPTION, levels=(0.5,))


def _streamed(**given: Any) -> torch.Tensor:
    return torch.cat([*control.stream(**given)], dim=2)


LEFT_OUT = {
    **{f"{guide}.bound": "called by `guided`" for guide in ("Attend", "Control", "Fusion", "ImagePrompt")},
    **dict.fromkeys(("Reference.bound", "Shaped.bound"), "called by `guided`"),
    **dict.fromkeys(("Attend.neglected", "Control.acting"), "called at each step"),
    **dict.fromkeys(("Known", "KnownRegion"), "guides that `inpaint` makes"),
    **dict.fromkeys(("Prompt", "Prompt.caption", "Prompt.without"), "read from text by `Prompt.parse`"),
    **dict.fromkeys(("Conflicts", "Inpainted", "Propagated", "Prompted", "Rewritten", "Why", "WordMaps"), "results"),
}
CALLS: dict[str, Callable[[], Call]] = {
    "Attend": guided(control.Attend, caption=CAPTION, words=("red",), weight=0.1, until=0.5, where=None),
    "Control": guided(control.Control, network=_branch(), pictures={"mask": MASK}, strength=0.8, levels=(1.0, 0.3)),
    "Fusion": guided(
        control.Fusion, given=[control.Given(CAPTION), control.Given("a blue star", weight=0.5)], rule="sum"
    ),
    "Given": lambda: (
        lambda **given: generator().guided(control.Fusion([control.Given(**given)])).generate(CAPTION, num_steps=1),
        {"what": "a blue star", "weight": 0.5, "levels": (1.0, 0.5), "region": MASK, "name": "blue"},
    ),
    "ImagePrompt": guided(
        control.ImagePrompt, network=_reference(), images=CLIP[:, :, :1], weight=0.5, levels=(1.0, 0.0)
    ),
    "Reference": guided(control.Reference, image=CLIP[:, :, :1], weight=1.0, seed=0),
    "Shaped": guided(control.Shaped, mask=MASK, strength=0.5),
    "Prompt.parse": lambda: (control.Prompt.parse, {"text": "a (large:1.5) [red] star|circle@0.6"}),
    "Prompted.generate": lambda: (
        control.prompted(generator(), "a (red:1.5) star").generate,
        {"seed": 0, "num_steps": 2},
    ),
    "Rewritten.generate": lambda: (
        control.rewrite(generator(), CAPTION, "a blue star").generate,
        {"count": 1, "seed": 0, "num_steps": 1},
    ),
    "Rewritten.sample": lambda: (
        control.rewrite(generator(), CAPTION, "a blue star").sample,
        {"noise": LATENTS, "num_steps": 1},
    ),
    "WordMaps.of": lambda: (_maps().of, {"word": "red"}),
    "WordMaps.over": lambda: (_maps().over, {"video": CLIP, "word": "red"}),
    "WordMaps.save": lambda: (_maps().save, {"path": "maps.safetensors"}),
    "as_mask": lambda: (control.as_mask, {"mask": MASK, "video": CLIP}),
    "box": on_masks(control.box),
    "conflicts": lambda: (
        control.conflicts,
        {
            "generator": generator(),
            "fusion": control.Fusion([control.Given(CAPTION), control.Given("a blue star")]),
            "caption": CAPTION,
            "seed": 0,
            "sampler": ll.DRAW.but(num_steps=1),
        },
    ),
    "dilate": on_masks(control.dilate, pixels=1),
    "erode": on_masks(control.erode, pixels=1),
    "extract": lambda: (
        control.extract,
        {"tuned": control.merge(generator(), {adapter(): 1.0}), "base": generator(), "rank": 1, "name": "ink"},
    ),
    "feather": on_masks(control.feather, pixels=1),
    "hull": on_masks(control.hull),
    "invert": on_masks(control.invert),
    "keyframes": lambda: (
        control.keyframes,
        {
            "generator": generator(),
            "caption": CAPTION,
            "frames": {0: CLIP[:, :, :1], 3: CLIP[:, :, 3:]},
            "network": None,
            "num_steps": 1,
        },
    ),
    "merge": lambda: (control.merge, {"generator": generator(), "adapters": {adapter(): 0.5}}),
    "nearest_caption": lambda: (
        control.nearest_caption,
        {
            "generator": generator(),
            "image": CLIP[:, :, :1],
            "captions": [CAPTION, "a blue star"],
            "levels": (0.5,),
            "draws": 1,
            "seed": 0,
        },
    ),
    "prompted": lambda: (
        control.prompted,
        {"generator": generator(), "text": "a (red:1.5) star", "where": "velocity", "guidance": 2.0},
    ),
    "read_control": lambda: (
        control.read_control,
        {"path": _saved(_branch(), "control.safetensors"), "generator": generator()},
    ),
    "read_known_region": lambda: (
        control.read_known_region,
        {"path": _saved(_known_region(), "known.safetensors"), "generator": generator()},
    ),
    "read_mask": lambda: (control.read_mask, {"path": _mask_file(), "num_frames": 4, "size": (16, 16)}),
    "read_reference": lambda: (
        control.read_reference,
        {"path": _saved(_reference(), "reference.safetensors"), "generator": generator()},
    ),
    "rewrite": lambda: (
        control.rewrite,
        {
            "generator": generator(),
            "source": CAPTION,
            "target": "a blue star",
            "cross": 0.3,
            "own": 0.6,
            "blend": None,
            "guidance": 2.0,
        },
    ),
    "stream": lambda: (
        _streamed,
        {
            "generator": generator(),
            "caption": CAPTION,
            "num_frames": 6,
            "windows": "pinned",
            "seed": 0,
            "num_steps": 1,
            "method": "ddim",
            "guidance": 1.0,
        },
    ),
    "to_grid": lambda: (control.to_grid, {"mask": MASK, "size": (4, 2, 2)}),
    "union": on_masks(control.union),
    "word_effect": lambda: (
        control.word_effect,
        {
            "generator": generator(),
            "latents": LATENTS,
            "caption": CAPTION,
            "other": "a blue star",
            "levels": (0.5,),
            "seed": 0,
        },
    ),
    "word_maps": lambda: (
        control.word_maps,
        {
            "generator": generator(),
            "latents": LATENTS,
            "caption": CAPTION,
            "where": None,
            "heads": False,
            "levels": (0.5,),
            "seed": 0,
        },
    ),
}
