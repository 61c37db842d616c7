"""The two towers of a CLIP model, as `clip_score` and `clip_direction` take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.metrics.features import FrameFeatures
from latentlab.metrics.perceptual import TextFeatures
from latentlab.shapes import Video
from latentlab.weights import fingerprint

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class VideoClip(Protocol):
    """A CLIP model of clips, such as the shipped one, `latentlab.load().clip`."""

    def encode_video(self, video: Video) -> Float[Tensor, "batch dim"]: ...

    def encode_text(self, captions: Sequence[str]) -> Float[Tensor, "batch dim"]: ...


@dataclass(frozen=True)
class Towers:
    """Both towers, and what a result must keep: `clip_score(video, captions, towers.image, towers.text)`.

    Attributes:
        image: frames in [-1, 1] to vectors.
        text: captions to vectors.
        name, preprocessing, fingerprint: of the model, what happens to a frame before it, SHA-256 of its weights.
    """

    image: FrameFeatures
    text: TextFeatures
    name: str
    preprocessing: str
    fingerprint: str

    def settings(self) -> dict[str, str]:
        """What a result must keep."""
        return {"clip": self.name, "preprocessing": self.preprocessing, "weights": self.fingerprint}


def clip(
    source: str | Path | VideoClip, architecture: str | None = None, *, device: str | torch.device = "cpu"
) -> Towers:
    """Towers of the shipped CLIP, or of any open_clip model from a file; nothing is downloaded or left random.

    Args:
        source: a model of clips, to which each frame is a clip that stands still; a folder with open_clip_config.json
            and weights, which says its own preprocessing; or a checkpoint.
        architecture: of a checkpoint, in open_clip's names; OpenAI's own files are "ViT-B-32-quickgelu" and the like.
        device: that computes; a model stays where it is.

    Raises:
        FileNotFoundError: no such file or folder, or no weights in it; says what is needed.
        ValueError: a checkpoint without architecture or with an unknown one, or a model that pads its pictures.

    >>> from latentlab.metrics.perceptual import clip_score
    >>> towers = clip(latentlab.load().clip)  # doctest: +SKIP
    >>> clip_score(video, captions, towers.image, towers.text)  # doctest: +SKIP
    """
    if isinstance(source, str | Path):
        return _open_clip(Path(source), architecture, device)
    digest = fingerprint(source) if isinstance(source, nn.Module) else ""
    how = "each frame as a clip that stands still"
    name = f"{type(source).__module__.split('.')[0]} {type(source).__name__}"
    return Towers(lambda frames: source.encode_video(frames[:, :, None]), source.encode_text, name, how, digest)


def _open_clip(path: Path, architecture: str | None, device: str | torch.device) -> Towers:
    options: dict[str, Any] = {}
    if path.is_dir():
        if not (path / "open_clip_config.json").is_file() or not any((path / file).is_file() for file in WEIGHTS):
            raise FileNotFoundError(_needed(path))
        name = f"local-dir:{path}"
    elif path.is_file():
        name, options = _known(path, architecture), {"pretrained": str(path.resolve())}
    else:
        raise FileNotFoundError(_needed(path))
    import open_clip

    try:
        model: Any = open_clip.create_model(name, device=device, **options).eval().requires_grad_(False)
    except (RuntimeError, UnpicklingError, EOFError, KeyError) as error:
        raise ValueError(f"{path} holds no weights of {architecture or 'its own configuration'}") from error
    tokenize: Any = open_clip.get_tokenizer(name)
    cfg = open_clip.get_model_preprocess_cfg(model)
    size, rule = cfg["size"] if isinstance(cfg["size"], int) else cfg["size"][0], cfg.get("resize_mode", "shortest")
    if rule not in ("shortest", "squash"):
        raise ValueError(f"{path} resizes by {rule!r}; shortest and squash are known, write the `image` tower yourself")
    mean, std = (torch.tensor(cfg[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
    mode = cfg.get("interpolation", "bicubic")

    def image(frames: Tensor) -> Tensor:
        pictures = _squares((frames.to(device).float() + 1) / 2, size, rule, mode)
        return model.encode_image((pictures - mean) / std).to(frames.device)

    def text(captions: Sequence[str]) -> Tensor:
        return model.encode_text(tokenize(list(captions)).to(device))

    shown = [[round(float(x), 4) for x in cfg[name]] for name in ("mean", "std")]
    how = f"{size} x {size} by {rule}, {mode} with antialiasing, mean {shown[0]}, deviation {shown[1]}"
    return Towers(image, text, f"open_clip {architecture or path.name}", how, fingerprint(model))


def _known(path: Path, architecture: str | None) -> str:
    import open_clip

    if architecture is None or architecture not in open_clip.list_models():
        some = ", ".join(open_clip.list_models()[:200:40])
        raise ValueError(
            f"{path} needs its `architecture`, one of open_clip.list_models() ({some}, ...), got {architecture!r}"
        )
    return architecture


def _needed(path: Path) -> str:
    return (
        f"no CLIP model at {path}: put there a folder with open_clip_config.json and {WEIGHTS[0]}, for instance from "
        "huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K, or a checkpoint and give its `architecture`"
    )


def _squares(frames: Tensor, size: int, rule: str, mode: str) -> Tensor:
    """As open_clip sees pictures: the short side to `size` and the middle cut out, or both sides to it."""
    height, width = frames.shape[2:]
    short = min(height, width)
    sides = (size, size) if rule == "squash" else (size * height // short, size * width // short)
    if sides != (height, width):
        frames = F.interpolate(frames, sides, mode=mode, align_corners=False, antialias=True).clamp(0, 1)
    top, left = (round((side - size) / 2) for side in sides)
    return frames[..., top : top + size, left : left + size]
