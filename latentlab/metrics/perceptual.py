"""How far one clip is from another, and how well it fits a caption.

The first are pixels alone (`psnr`, `ssim`, `background_preservation`); the others look through a network that
is passed in, a callable from clips to features, or that of the lpips package.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.metrics.features import CHUNK, FrameFeatures
from latentlab.shapes import Video, check_video
from latentlab.store import digest
from latentlab.weights import read_pickled

Scores = Float[Tensor, " batch"]
VideoDistance = Callable[[Video, Video], Scores]
TextFeatures = Callable[[Sequence[str]], Float[Tensor, "text dim"]]
SERVER = "https://download.pytorch.org/models"
# The torchvision checkpoints to which the calibrated heads of LPIPS belong; names end in the file's SHA-256.
BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
    "vgg": "vgg16-397923af.pth",
}


@clear_errors
def psnr(video: Video, reference: Video) -> Scores:
    """Peak signal-to-noise ratio of each clip in decibels, peak to peak 2; equal clips give infinity.

    >>> psnr(torch.full((1, 3, 1, 2, 2), 0.2), torch.zeros(1, 3, 1, 2, 2)).item()
    20.0
    """
    check_video(video=video, reference=reference)
    frames = zip(video.unbind(2), reference.unbind(2), strict=True)  # one at a time, as doubles are large
    error = torch.stack([(a.double() - b.double()).square().flatten(1).mean(1) for a, b in frames]).mean(0)
    return (10 * torch.log10(4 / error)).float()


@clear_errors
def ssim(video: Video, reference: Video) -> Scores:
    """Structural similarity of each clip, mean over frames, colours and positions (Wang et al. 2004, eq. 13).

    Windows are Gaussian, sigma 1.5 on 11 x 11 pixels, the frame reflected at its edges; K1 = 0.01, K2 = 0.03.

    Args:
        video, reference: clips in [-1, 1], frames of 6 x 6 pixels or more.

    Returns:
        1 for equal clips.

    Raises:
        ValueError: smaller frames, another range, different shapes.

    >>> clip = torch.rand(1, 3, 2, 16, 16)
    >>> round(ssim(clip, clip).item(), 6)
    1.0
    """
    check_video(video=video, reference=reference)
    if min(video.shape[-2:]) < 6:
        raise ValueError(f"SSIM reflects 5 pixels at each edge, got frames of {video.shape[-2]} x {video.shape[-1]}")
    planes = [(frame, colour) for frame in range(video.shape[2]) for colour in range(3)]
    found = [_similarity(video[:, c, f], reference[:, c, f]) for f, c in planes]  # one at a time: it takes many copies
    return torch.stack(found).mean(0).float()


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    x, y = x[:, None].double(), y[:, None].double()
    mean_x, mean_y, square_x, square_y, product = (_window(z) for z in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # of a range of 2
    variances = (square_x - mean_x**2).clamp(min=0) + (square_y - mean_y**2).clamp(min=0)
    structure = (2 * (product - mean_x * mean_y) + c2) / (variances + c2)
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (light * structure).flatten(1).mean(1)


def _window(x: Tensor) -> Tensor:
    kernel = torch.exp(-0.5 * (torch.arange(-5, 6, device=x.device, dtype=x.dtype) / 1.5) ** 2)
    kernel = kernel / kernel.sum()
    x = F.pad(x, (5, 5, 5, 5), mode="reflect")
    return F.conv2d(F.conv2d(x, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


@clear_errors
def background_preservation(video: Video, reference: Video, mask: Bool[Tensor, "batch frame height width"]) -> Scores:
    """PSNR of each clip outside a mask, in decibels: did an edit leave alone what it was not asked to change?

    The error is averaged over the pixels outside only; filling the mask with black and averaging over the frame, as is
    also done, adds decibels for a large mask.

    Args:
        mask: True where the edit may change the clip.

    Raises:
        ValueError: the mask has another shape or kind, or covers a whole clip.

    >>> clip, mask = torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    >>> background_preservation(clip + 0.2, clip, mask).item()
    20.0
    """
    check_video(video=video, reference=reference)
    wanted = (len(video), *video.shape[2:])
    if mask.dtype != torch.bool or tuple(mask.shape) != wanted:
        raise ValueError(f"`mask` must be bool of shape {wanted}, got {mask.dtype} of shape {tuple(mask.shape)}")
    outside = (~mask).flatten(1).sum(1)
    if not outside.all():
        raise ValueError("`mask` covers a whole clip, so there is no background to measure")
    error = (video.double() - reference.double()).square().mean(1)  # over colours
    return (10 * torch.log10(4 * outside / error.masked_fill(mask, 0).flatten(1).sum(1))).float()


@clear_errors
def lpips(
    video: Video, reference: Video, *, net: str = "alex", weights: str | Path | None = None, download: bool = False
) -> Scores:
    """Learned perceptual distance of each clip, mean over frames (Zhang et al. 2018, version 0.1).

    The heads come with the lpips package; the network below them is a checkpoint of torchvision, looked for where
    torchvision keeps it. It is checked by its SHA-256: on any other weights the heads mean nothing.

    Args:
        net: "alex" (the paper's choice for measuring), "squeeze" or "vgg".
        weights: the checkpoint, if it is elsewhere.
        download: fetch the checkpoint from torchvision's server if it is missing, once (5 to 528 MB).

    Raises:
        ValueError: unknown net, another file, another range, different shapes.
        FileNotFoundError: no checkpoint, or none to be had; says where from and where to.
        ModuleNotFoundError: the lpips package is not installed.
    """
    check_video(video=video, reference=reference)
    model = _lpips(net, Path(weights) if weights else None, download).to(video.device)
    a, b = (rearrange(clip.float(), "b c f h w -> (b f) c h w").split(CHUNK) for clip in (video, reference))
    with torch.no_grad():
        distances = torch.cat([model(x, y).flatten() for x, y in zip(a, b, strict=True)])
    return distances.view(len(video), -1).mean(1)


@lru_cache(maxsize=3)
def _lpips(net: str, weights: Path | None, download: bool) -> nn.Module:
    if net not in BACKBONES:
        raise ValueError(f"`net` must be one of {', '.join(BACKBONES)}, got {net!r}")
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[net]
    tensors = _checkpoint(path, BACKBONES[net], download)
    try:
        from lpips import LPIPS
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("LPIPS needs the lpips package: pip install 'latentlab[metrics]'") from error
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision in a deprecated way
        model = LPIPS(net=net, pnet_rand=True, verbose=False)  # random only until the next lines fill it
    for name, parameter in model.net.named_parameters():  # slice3.6.weight is features.6.weight of torchvision
        parameter.data.copy_(tensors[f"features.{name.split('.', 1)[1]}"])
    return model.eval().requires_grad_(False)


def _checkpoint(path: Path, name: str, download: bool) -> dict[str, Tensor]:
    wanted = name.removesuffix(".pth").rsplit("-", 1)[1]
    if not path.is_file():
        lack, url = f"LPIPS needs the network {name}, which is not at {path}", f"{SERVER}/{name}"
        if not download:
            raise FileNotFoundError(f"{lack}: pass `download=True`, put {url} there, or pass `weights=`")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=wanted)  # whole or not at all
        except OSError as error:
            raise FileNotFoundError(f"{lack}, and {url} cannot be fetched ({error}): put it there by hand") from error
    found = digest(path)
    if not found.startswith(wanted):
        raise ValueError(
            f"{path} is not {name}: its SHA-256 starts with {found[:8]}, expected {wanted}; fetch it again"
        )
    return read_pickled(path, f"file of weights, {name}")


@clear_errors
def identity(video: Video, reference: Video, features: FrameFeatures) -> Scores:
    """Cosine of the features of each frame with those of its reference, mean over frames: is it still the same?

    Args:
        features: frames in [-1, 1] to vectors, such as those of a face or object network.

    >>> clip = torch.rand(1, 3, 2, 8, 8)
    >>> round(float(identity(clip, clip, lambda frames: frames.flatten(1))), 4)
    1.0
    """
    check_video(video=video, reference=reference)
    return F.cosine_similarity(per_frame(video, features), per_frame(reference, features), dim=2).mean(1)


@clear_errors
def clip_score(video: Video, captions: Sequence[str], image: FrameFeatures, text: TextFeatures) -> Scores:
    """Cosine of each frame with the clip's caption, mean over frames, as it is: in [-1, 1].

    Elsewhere it is multiplied by 100, or by 2.5 and cut at 0 (Hessel et al. 2021).

    Args:
        captions: one a clip.
        image, text: the two towers of a CLIP model, e.g. of `clip`, to vectors of one width; of any length.

    Raises:
        ValueError: not one caption a clip, another range.

    >>> red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 4, 4)
    >>> def image(frames):
    ...     return frames.mean((2, 3))
    >>> def text(captions):
    ...     return torch.tensor([[1.0, -1.0, -1.0] if "red" in c else [-1.0, -1.0, 1.0] for c in captions])
    >>> clip_score(red, ["a red wall"], image, text)
    tensor([1.0000])
    """
    check_video(video=video)
    _check_captions(captions, video)
    return _cosine(per_frame(video, image), text(list(captions)))


@clear_errors
def clip_direction(
    video: Video,
    reference: Video,
    captions: Sequence[str],
    reference_captions: Sequence[str],
    image: FrameFeatures,
    text: TextFeatures,
) -> Scores:
    """Cosine of the way the frames went with the way the words went (Gal et al. 2022, eq. 2), mean over frames.

    Vectors are made unit length before they are subtracted. A clip that did not change scores 0.

    Args:
        video, reference: after and before an edit.
        captions, reference_captions: of both, one a clip.
        image, text: the two towers of a CLIP model, e.g. of `clip`.

    Raises:
        ValueError: not one caption a clip, or the captions do not differ.

    >>> red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 4, 4)
    >>> def image(frames):
    ...     return frames.mean((2, 3))
    >>> def text(captions):
    ...     return torch.tensor([[1.0, -1.0, -1.0] if "red" in c else [-1.0, -1.0, 1.0] for c in captions])
    >>> clip_direction(red, red.flip(1), ["a red wall"], ["a blue wall"], image, text)
    tensor([1.0000])
    """
    check_video(video=video, reference=reference)
    _check_captions(captions, video)
    _check_captions(reference_captions, video)
    if same := [a for a, b in zip(captions, reference_captions, strict=True) if a == b]:
        raise ValueError(f"captions before and after must differ for a direction, got {same[0]!r} twice")
    after, before = (F.normalize(per_frame(clip, image), dim=2) for clip in (video, reference))
    said, was = (F.normalize(text(list(words)).float(), dim=1) for words in (captions, reference_captions))
    return _cosine(after - before, said - was)


def per_frame(video: Video, features: FrameFeatures) -> Float[Tensor, "batch frame dim"]:
    """Features of every frame, in single precision: in half, lengths and quantiles fail."""
    frames = rearrange(video, "b c f h w -> (b f) c h w").split(CHUNK)
    found = torch.cat([features(chunk) for chunk in frames]).float().view(len(video), video.shape[2], -1)
    if not found.isfinite().all():
        raise ValueError(f"features hold {int((~found.isfinite()).sum())} NaN or infinite values of {found.numel()}")
    return found


def _cosine(frames: Float[Tensor, "batch frame dim"], words: Float[Tensor, "batch dim"]) -> Scores:
    if words.shape != (len(frames), frames.shape[2]):
        found = f"{tuple(frames.shape[::2])} of frames and {tuple(words.shape)} of captions"
        raise ValueError(f"both towers must give vectors of one width, got {found}: they are of different models")
    return F.cosine_similarity(frames, words.to(frames)[:, None], dim=2).mean(1)


def _check_captions(captions: Sequence[str], video: Video) -> None:
    if isinstance(captions, str) or len(captions) != len(video):
        raise ValueError(f"expected a list of {len(video)} captions, one a clip, got {captions!r}")
