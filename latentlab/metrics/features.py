"""Feature extractors of clips: callables that say their name, their preprocessing and which weights they hold.

The published networks are read from the user's own file; there are no others under their names. Any callable becomes
an extractor by `Features(name, preprocessing, fingerprint, extract)`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.shapes import Video, check_video

CHUNK = 32  # frames of an image network at once
SOURCES = {
    "i3d": "i3d_torchscript.pt of github.com/universome/fvd-comparison (Kinetics-400 logits, 400 numbers)",
    "videomae": "a TorchScript export of VideoMAE v2 ViT-g, fine-tuned on SSv2: (batch, 3, 16, 224, 224) to features",
    "inception": "inception-2015-12-05.pt of nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics",
}


@dataclass(frozen=True)
class Features:
    """A feature extractor that can be named in a result.

    Args:
        name: of the network and head, such as "i3d" or "reader-td".
        preprocessing: one line that says what happens to a clip before the network.
        fingerprint: SHA-256 of the weights.
        extract: clips in [-1, 1] to vectors; one a clip, or one a frame for image networks.
        frames: (fewest, most) frames a clip may have.

    >>> colour = Features("mean colour", "none", "", lambda video: video.mean((2, 3, 4)))
    >>> colour(torch.zeros(2, 3, 4, 8, 8)).shape
    torch.Size([2, 3])
    """

    name: str
    preprocessing: str
    fingerprint: str
    extract: Callable[[Video], Float[Tensor, "sample dim"]]
    frames: tuple[int, float] = (1, math.inf)

    def __call__(self, video: Video) -> Float[Tensor, "sample dim"]:
        """Features of clips.

        Raises:
            ValueError: another range, or too few or too many frames.
        """
        check_video(video=video)
        fewest, most = self.frames
        if not fewest <= video.shape[2] <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} or more"
            raise ValueError(f"{self.name} takes {wanted} frames, got {video.shape[2]}; choose them before")
        with torch.no_grad():
            return self.extract(video)

    def collect(self, videos: Video | Iterable[Video], *, progress: bool = False) -> Float[Tensor, "sample dim"]:
        """Features of all clips, batch by batch, on the CPU; only the features are kept."""
        batches = [videos] if isinstance(videos, Tensor) else videos
        found = [self(batch).cpu() for batch in tqdm(batches, desc=self.name, disable=not progress)]
        if not found:
            raise ValueError(f"there are no clips to take {self.name} features of")
        return torch.cat(found)

    def settings(self) -> dict[str, str]:
        """What a result must keep."""
        return {"features": self.name, "preprocessing": self.preprocessing, "weights": self.fingerprint}


def i3d(path: str | Path, *, resize: str = "crop") -> Features:
    """I3D logits on Kinetics-400 (Carreira & Zisserman 2017), the features of FVD (Unterthiner et al. 2018).

    Args:
        path: TorchScript file.
        resize: to 224 x 224, bilinear. "crop" scales the short side and cuts the centre, "stretch" ignores the
            proportions. Papers use both, and the distances differ.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not a TorchScript file, or unknown resize rule.
    """
    how = f"224 x 224 by {resize}, bilinear, [-1, 1], all frames"
    network, fingerprint = _torchscript(path, "i3d")
    squares = _squares(resize)

    def extract(video: Video) -> Tensor:
        return network(squares(video), rescale=False, resize=False, return_features=True)

    return Features("i3d", how, fingerprint, extract, frames=(10, math.inf))


def videomae(path: str | Path) -> Features:
    """VideoMAE features (Ge et al. 2024): less blind to motion than I3D. 16 frames, in [0, 1], no mean or deviation.

    Args:
        path: TorchScript file.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not a TorchScript file.
    """
    network, fingerprint = _torchscript(path, "videomae")
    squares = _squares("stretch")
    how = "224 x 224 by stretch, bilinear, [0, 1], 16 frames"
    return Features("videomae", how, fingerprint, lambda video: network((squares(video) + 1) / 2), frames=(16, 16))


def inception(path: str | Path) -> Features:
    """Inception v3 pool features of every frame, the features of FID (Heusel et al. 2017).

    Frames of one clip resemble each other: an interval over frames is narrower than the truth.

    Args:
        path: TorchScript file, which resizes by itself.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not a TorchScript file.
    """
    network, fingerprint = _torchscript(path, "inception")

    def extract(video: Video) -> Tensor:
        frames = rearrange((127.5 * (video + 1)).round().clamp(0, 255).byte(), "b c f h w -> (b f) c h w")
        return torch.cat([network(chunk, return_features=True) for chunk in frames.split(CHUNK)])

    return Features("inception", "frames in 8 bits, resized by the network", fingerprint, extract)


PUBLISHED = {"i3d": i3d, "videomae": videomae, "inception": inception}


def _torchscript(path: str | Path, name: str) -> tuple[Any, str]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no {name} weights at {path}; needed is {SOURCES[name]}")
    try:
        network = torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        raise ValueError(f"{path} is not a TorchScript file; needed is {SOURCES[name]}") from error
    with path.open("rb") as file:
        return network, hashlib.file_digest(file, "sha256").hexdigest()


def _squares(resize: str) -> Callable[[Video], Video]:
    """Clips to 224 x 224, bilinear without antialiasing, as published."""
    if resize not in ("crop", "stretch"):
        raise ValueError(f"`resize` must be crop or stretch, got {resize!r}")

    def squares(video: Video) -> Video:
        height, width = video.shape[-2:]
        scale = 224 / min(height, width)
        size = (max(224, math.ceil(height * scale)), max(224, math.ceil(width * scale)))
        frames = rearrange(video.float(), "b c f h w -> (b f) c h w")
        frames = F.interpolate(frames, size if resize == "crop" else (224, 224), mode="bilinear", align_corners=False)
        top, left = ((side - 224) // 2 for side in frames.shape[-2:])
        frames = frames[..., top : top + 224, left : left + 224]
        return rearrange(frames, "(b f) c h w -> b c f h w", b=len(video))

    return squares
