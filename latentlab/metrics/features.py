"""Feature extractors of clips: callables that say their name, their preprocessing and which weights they hold.

The published networks are read from the user's own file; a file that is not known to be theirs is called unverified in
every result. Any callable becomes an extractor by `Features(name, preprocessing, fingerprint, extract)`, any network of
single frames by `time_difference`; `latentlab.score.reader_td` is that of the shipped reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.metrics.frechet import Moments
from latentlab.shapes import Video, check_video
from latentlab.store import digest

CHUNK = 32  # frames of an image network at once
FrameFeatures = Callable[[Float[Tensor, "frame 3 height width"]], Float[Tensor, "frame dim"]]
SOURCES = {
    "i3d": "i3d_torchscript.pt of github.com/universome/fvd-comparison (Kinetics-400 logits, 400 numbers)",
    "videomae": "your own TorchScript export, (batch, 3, 16, 224, 224) to (batch, 1408), of forward_features of the "
    "model that load_videomae_model of github.com/songweige/content-debiased-fvd builds, VideoMAE v2 ViT-g with "
    "vit_g_hybrid_pt_1200e_ssv2_ft.pth of huggingface.co/OpenGVLab/InternVideoMAE_models",
    "inception": "inception-2015-12-05.pt of nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics",
}
SHA256 = {
    "i3d": "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
    "inception": "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
}
UNVERIFIED = "unverified file"


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
            raise ValueError(f"{self.network} takes {wanted} frames, got {video.shape[2]}; choose them before")
        with torch.no_grad():
            return self.extract(video)

    def by_clip(self, videos: Video | Iterable[Video], *, progress: bool = False) -> list[Float[Tensor, "frame dim"]]:
        """Features of each clip, one row or one a frame, batch by batch, on the CPU: what `compare` takes."""
        return [rows for batch in self._batches(videos, progress) for rows in batch]

    def collect(self, videos: Video | Iterable[Video], *, progress: bool = False) -> Float[Tensor, "sample dim"]:
        """Features of all clips in one tensor."""
        return torch.cat([batch.flatten(0, 1) for batch in self._batches(videos, progress)])

    def moments(self, videos: Video | Iterable[Video], *, progress: bool = False) -> Moments:
        """Moments of the features of all clips, in the memory of one batch; those of shards add up."""
        return reduce(add, (Moments.of(batch.flatten(0, 1)) for batch in self._batches(videos, progress)))

    def _batches(self, videos: Video | Iterable[Video], progress: bool) -> Iterator[Float[Tensor, "clip frame dim"]]:
        batch = None
        for batch in tqdm(
            [videos] if isinstance(videos, Tensor) else videos, desc=self.name, disable=not progress or None
        ):
            found = self(batch).cpu()
            if found.ndim != 2 or len(found) % len(batch):
                kind = f"{tuple(found.shape)} for {len(batch)} clips"
                raise ValueError(f"{self.name} must give (sample, dim), one row a clip or one a frame, got {kind}")
            yield found.unflatten(0, (len(batch), -1))
        if batch is None:
            raise ValueError(f"there are no clips to take {self.name} features of")

    def settings(self) -> dict[str, str]:
        """What a result must keep."""
        return {"features": self.name, "preprocessing": self.preprocessing, "weights": self.fingerprint}

    @property
    def network(self) -> str:
        """The name without what was said of the file."""
        return self.name.removesuffix(f", {UNVERIFIED}")


@clear_errors
def time_difference(frame: FrameFeatures, *, name: str, preprocessing: str, fingerprint: str) -> Features:
    """Features of a clip by a network of single frames, which sees flicker and order on every frame.

    Three parts, of each of the network's numbers: its mean over the clip; how far it comes, last minus first, which
    a clip played backwards negates; and how far it walks, the sum of |f(t + 1) - f(t)|, which any jitter, swapped or
    doubled frame changes. A mean alone is blind to all of them.

    Args:
        frame: frames in [-1, 1] to vectors.
        name, preprocessing, fingerprint: of the `Features`.

    >>> colour = time_difference(lambda x: x.mean((2, 3)), name="colour-td", preprocessing="none", fingerprint="")
    >>> flashing = torch.tensor([0.0, 0.5, 0.0, 0.5]).view(1, 1, 4, 1, 1).expand(1, 3, 4, 8, 8)
    >>> colour(flashing)[0, ::3]
    tensor([0.2500, 0.5000, 1.5000])
    """

    def extract(video: Video) -> Tensor:
        frames = rearrange(video, "b c f h w -> (b f) c h w").split(CHUNK)
        seen = torch.cat([frame(chunk) for chunk in frames]).unflatten(0, (len(video), -1))
        return torch.cat([seen.mean(1), seen[:, -1] - seen[:, 0], seen.diff(dim=1).abs().sum(1)], 1)

    return Features(name, preprocessing, fingerprint, extract)


@clear_errors
def i3d(
    path: str | Path, *, resize: str = "crop", device: str | torch.device = "cpu", trusted: bool = False
) -> Features:
    """I3D logits on Kinetics-400 (Carreira & Zisserman 2017), the features of FVD (Unterthiner et al. 2018).

    Args:
        path: TorchScript file.
        resize: to 224 x 224, bilinear. "crop" scales the short side and cuts the centre, "stretch" ignores the
            proportions. Papers use both, and the distances differ.
        device: that computes.
        trusted: run it although it is not the published file; a TorchScript file may do anything, write files too.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not the published file and not said to be trusted, not a TorchScript file, or unknown resize rule.
    """
    how = f"224 x 224 by {resize}, bilinear, [-1, 1], all frames"
    network, name, fingerprint = _torchscript(path, "i3d", device, trusted)
    squares = _squares(resize)

    def extract(video: Video) -> Tensor:
        return network(squares(video), rescale=False, resize=False, return_features=True)

    return Features(name, how, fingerprint, extract, frames=(10, math.inf))


@clear_errors
def videomae(path: str | Path, *, device: str | torch.device = "cpu", trusted: bool = False) -> Features:
    """VideoMAE features (Ge et al. 2024): less blind to motion than I3D. 16 frames, in [0, 1], no mean or deviation.

    Args:
        path: TorchScript file of your own export; none is published, so every result calls it unverified.
        device: that computes.
        trusted: run it although it is not the published file; a TorchScript file may do anything, write files too.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not the published file and not said to be trusted, not a TorchScript file.
    """
    network, name, fingerprint = _torchscript(path, "videomae", device, trusted)
    squares = _squares("stretch")
    how = "224 x 224 by stretch, bilinear, [0, 1], 16 frames"
    return Features(name, how, fingerprint, lambda video: network((squares(video) + 1) / 2), frames=(16, 16))


@clear_errors
def inception(path: str | Path, *, device: str | torch.device = "cpu", trusted: bool = False) -> Features:
    """Inception v3 pool features of every frame, the features of FID (Heusel et al. 2017).

    Args:
        path: TorchScript file, which resizes by itself.
        device: that computes.
        trusted: run it although it is not the published file; a TorchScript file may do anything, write files too.

    Raises:
        FileNotFoundError: no such file; says which one is needed.
        ValueError: not the published file and not said to be trusted, not a TorchScript file.
    """
    network, name, fingerprint = _torchscript(path, "inception", device, trusted)

    def extract(video: Video) -> Tensor:
        frames = rearrange((127.5 * (video + 1)).round().clamp(0, 255).byte(), "b c f h w -> (b f) c h w")
        return torch.cat([network(chunk, return_features=True) for chunk in frames.split(CHUNK)])

    return Features(name, "frames in 8 bits, resized by the network", fingerprint, extract)


PUBLISHED = {"i3d": i3d, "videomae": videomae, "inception": inception}


def _torchscript(
    path: str | Path, name: str, device: str | torch.device, trusted: bool
) -> tuple[Callable[..., Tensor], str, str]:
    """The network, its name in results, and the SHA-256 of its file; both say if that is not the published one."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no {name} weights at {path}; needed is {SOURCES[name]}")
    found = digest(path)
    if found != SHA256.get(name) and not trusted:
        raise ValueError(
            f"{path} is not the published file of {name} (its SHA-256 is {found}), and a TorchScript file can do "
            "anything on this machine, write files too; if you trust where it is from, say so: trusted=True, on the "
            f"command line --trust. Needed is {SOURCES[name]}"
        )
    try:
        network = torch.jit.load(path, map_location=device).eval()
    except RuntimeError as error:
        why = f"does not load on {device} as TorchScript: {str(error).strip().splitlines()[0]}"
        raise ValueError(f"{path} {why}; needed is {SOURCES[name]}") from error
    if found != SHA256.get(name):
        name, found = f"{name}, {UNVERIFIED}", f"{UNVERIFIED} sha256={found}"
    return lambda x, **flags: network(x.to(device), **flags), name, found


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
