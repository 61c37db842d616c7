"""Pictures and clips of a folder, with their captions, as an adapter learns from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from latentlab.checks import Count, clear_errors
from latentlab.data.caption import read_caption
from latentlab.generator.generator import Generator
from latentlab.shapes import Video
from latentlab.store import digest
from latentlab.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order, read_fitted
from latentlab.video.files import existing, files_below
from latentlab.warning import warn


@dataclass(frozen=True)
class Examples:
    """What an adapter learns from.

    Attributes:
        video: `(clip, 3, frame, height, width)`; a picture is a clip that stands still.
        captions: of each, "" where there is none.
        skipped: files left out, and why.
        names: of the files, below their folder.
    """

    video: Video
    captions: tuple[str, ...]
    skipped: dict[str, str]
    names: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        return digest(self.video.contiguous().numpy(), *self.captions)[:16]


@clear_errors
def examples(folder: str | Path, num_frames: Count, size: tuple[int, int]) -> Examples:
    """The pictures and videos below a folder, cropped to a generator's clips; `wave.txt` is what `wave.png` shows.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no picture that can be read, or one alone, which says nothing of what a look has in common.
    """
    root, skipped = existing(folder), {}
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is a file; give the folder of pictures that it lies in")
    left: dict[Path, str] = {}
    suffixes = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    clips, captions, names = [], [], []
    for path in sorted(files_below(root, left), key=natural_order):
        if path.suffix.lower() not in suffixes:
            continue
        try:
            clips.append(read_fitted(path, num_frames, size).video)
        except (ValueError, OSError) as error:
            skipped[str(path)] = str(error)
            warn(f"left out {path}: {error}")
            continue
        text = path.with_suffix(".txt")
        captions.append(read_caption(text) if text.is_file() else "")
        names.append(path.relative_to(root).as_posix())
    if len(clips) < 2:
        found = "one picture" if clips else f"no picture ({len(skipped)} that cannot be read)"
        raise ValueError(f"{root} holds {found}; an adapter learns from several, some ten to fifty, of the same look")
    skipped |= {str(path): why for path, why in left.items()}
    return Examples(torch.cat(clips), tuple(captions), skipped, tuple(names))


BANDS = ("fine", "middle", "coarse")  # details below 3 pixels, below 9, and what is left


def share_kept(generator: Generator, video: Video) -> dict[str, float]:
    """Share of clips that the autoencoder gives back: of all their variance, and by the size of what varies.

    `1 - E[(x - decode(encode(x)))^2] / Var(x)`: 1 is all, 0 is no more than their mean. What the autoencoder loses no
    adapter of the denoiser can draw.

    >>> import latentlab as ll
    >>> generator, (clips, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=5)
    >>> share_kept(generator, clips)["all"] > 0.99, share_kept(generator, clips.sign())["all"] > 0.9
    (True, False)
    """
    back = generator.decode(generator.encode(video)).float().cpu()
    video = video.float().cpu()
    own, theirs = _bands(video), _bands(back)
    lost = {name: (own[name] - theirs[name]).square().mean() / own[name].square().mean() for name in BANDS}
    whole = (video - back).square().mean() / (video - video.mean()).square().mean()
    return {"all": float(1 - whole), **{name: float(1 - share) for name, share in lost.items()}}


def _bands(video: Video) -> dict[str, Tensor]:
    near, far = _blurred(video, 3), _blurred(video, 9)
    return {"fine": video - near, "middle": near - far, "coarse": far - far.mean()}


def _blurred(video: Video, side: int) -> Tensor:
    padded = F.pad(video.flatten(0, 1), (side // 2,) * 4, mode="replicate")
    return F.avg_pool3d(padded, (1, side, side), 1).reshape(video.shape)
