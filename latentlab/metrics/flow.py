"""Optical flow as a callable, and what is done with it: warping, and which pixels are seen both ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.shapes import CLAMPED, OVERSHOOT, Latents, Video, check_video

JUMP_SIDE = 96  # pixels, at which jumps of the whole frame are looked for
RAFT = "raft_large_C_T_SKHT_V2-ff5fadd5.pth or raft_small_C_T_V2-01064c6d.pth from download.pytorch.org/models"

Frames = Float[Tensor, "frame channel height width"]
Field = Float[Tensor, "frame 2 height width"]
FlowEstimator = Callable[[Frames, Frames], Field]
Ways = tuple[Float[Tensor, "batch pair 2 height width"], Float[Tensor, "batch pair 2 height width"]]


@clear_errors
def dis(a: Frames, b: Frames) -> Field:
    """Where each pixel of `a` lies in `b`, by dense inverse search (Kroeger et al. 2016), OpenCV's medium preset.

    The search starts at rest, or, if that explains far more of the change, where phase correlation (Kuglin and Hines
    1975) finds the whole frame: in a pan past a tenth of the frame, which is farther than the search reaches.

    Args:
        a, b: frames in [-1, 1].

    Returns:
        Pixels right and down.

    >>> frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> frame = torch.nn.functional.avg_pool2d(frame, 7, 1, 3)
    >>> dis(frame, frame.roll(2, dims=3))[0, :, 32, 32].round().abs()
    tensor([2., 0.])
    """
    import cv2

    check_pair(a, b)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = a.shape[2:]
    found = np.empty((len(a), height, width, 2), np.float32)
    for field, *pair in zip(found, a, b, strict=True):
        one, two = map(_grey, pair)
        start = np.full((*one.shape, 2), _jump(one, two), np.float32)
        field[:] = search.calc(one, two, start)[:height, :width]
    return torch.from_numpy(found).permute(0, 3, 1, 2).to(a.device)


def check_pair(a: Tensor, b: Tensor) -> None:
    """Raises unless both are frames of one shape, in floating point."""
    for name, frames in (("a", a), ("b", b)):
        if frames.ndim != 4 or frames.shape[1] != 3 or not frames.is_floating_point() or not frames.numel():
            found = f"{frames.dtype} of shape {tuple(frames.shape)}"
            raise ValueError(f"`{name}` must be floating point (frame, 3, height, width), got {found}")
    if a.shape != b.shape:
        raise ValueError(f"frames of one shape are needed, got {tuple(a.shape)} and {tuple(b.shape)}")


def _jump(one: UInt8[np.ndarray, "height width"], two: UInt8[np.ndarray, "height width"]) -> tuple[float, float]:
    """Pixels right and down by which the whole frame jumps, if it does so by more than a twentieth of its side."""
    import cv2

    shrink = max(1, max(one.shape) // JUMP_SIDE)
    size = (one.shape[1] // shrink, one.shape[0] // shrink)
    a, b = (cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.float32) for x in (one, two))
    (x, y), _ = cv2.phaseCorrelate(a.copy(), b.copy(), cv2.createHanningWindow(size, cv2.CV_32F))  # writes into both
    right, down = round(x), round(y)
    if max(abs(right), abs(down)) < max(size) / 20 or abs(right) >= size[0] or abs(down) >= size[1]:
        return 0.0, 0.0
    at = np.s_[max(0, -down) : size[1] - max(0, down), max(0, -right) : size[0] - max(0, right)]
    moved = b[max(0, down) : size[1] + min(0, down), max(0, right) : size[0] + min(0, right)]
    if np.abs(a[at] - moved).mean() > 0.5 * np.abs(a - b).mean():
        return 0.0, 0.0
    return right * one.shape[1] / size[0], down * one.shape[0] / size[1]


def _grey(frame: Float[Tensor, "3 height width"]) -> UInt8[np.ndarray, "height width"]:
    """Continued by its border to 16 pixels: on fewer OpenCV's search fails, or ends the process."""
    levels = frame.float().sum(0).mul_(127.5 / 3).add_(127.5).round_().clamp_(0, 255)
    grey = levels.to(torch.uint8).cpu().numpy()
    return np.pad(grey, [(0, max(0, 16 - side)) for side in grey.shape], mode="edge")


@clear_errors
def still(a: Frames, b: Frames) -> Field:
    """No motion: every change counts as flicker, as it should for a static camera before a static scene.

    >>> frame = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> float(still(frame, frame).abs().max())
    0.0
    """
    return a.new_zeros(len(a), 2, *a.shape[2:])


@clear_errors
def raft(path: str | Path) -> FlowEstimator:
    """RAFT (Teed and Deng 2020), large or small, in torchvision's form: closer than `dis` and far slower without a GPU.

    Args:
        path: the weights, a file of torchvision's, whose names say which network they are of.

    Returns:
        A flow like `dis`, computed where the frames are; frames are padded to 128 pixels and to whole eighths.

    Raises:
        FileNotFoundError: no such file; says which one is needed, and from where.
        ValueError: a file of other weights.
    """
    from torchvision.models.optical_flow import raft_large, raft_small

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no RAFT weights at {path}; download {RAFT}, and give the file's path")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network = raft_large() if any(name.startswith("mask_predictor") for name in weights) else raft_small()
        network.load_state_dict(weights)
    except (RuntimeError, UnpicklingError, EOFError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no RAFT weights of torchvision; needed is {RAFT}") from error
    network.eval()

    @torch.no_grad()
    def flow(a: Frames, b: Frames) -> Field:
        height, width = a.shape[2:]
        margin = (0, max(128, -(-width // 8) * 8) - width, 0, max(128, -(-height // 8) * 8) - height)
        a, b = (F.pad(x.float(), margin, mode="replicate") for x in (a, b))
        found = [network.to(a.device)(one, two)[-1] for one, two in zip(a.split(1), b.split(1), strict=True)]
        return torch.cat(found)[:, :, :height, :width]

    return flow


@clear_errors
def fields(video: Video, flow: FlowEstimator = dis) -> Ways:
    """Flow of clips from each frame to the next, and back, `(batch, frame - 1, 2, height, width)` each.

    Frames are brought to one mean brightness first, without which a change of exposure is taken for motion.

    Args:
        video: clips of two frames or more.
        flow: of pairs of frames.

    Raises:
        ValueError: one frame, another range, or the flow gives fields of another shape.

    >>> [tuple(way.shape) for way in fields(torch.zeros(2, 3, 4, 16, 16), still)]
    [(2, 3, 2, 16, 16), (2, 3, 2, 16, 16)]
    """
    check_video(OVERSHOOT, video=video)
    if video.shape[2] < 2:
        raise ValueError("flow goes from a frame to the next, got clips of one frame")
    forth, back = [], []
    for frames in video.transpose(1, 2).float():
        brightness = frames.mean((1, 2, 3), keepdim=True)
        steady = (frames - (brightness - brightness.mean())).clamp_(-1, 1)
        forth.append(flow(steady[:-1], steady[1:]))
        back.append(flow(steady[1:], steady[:-1]))
    ways = torch.stack(forth), torch.stack(back)
    check_ways(ways, video)
    return ways


def pair_by_pair(flow: FlowEstimator, step: Callable[[], object]) -> FlowEstimator:
    """A flow that is asked for one pair of frames at a time, and calls `step` after each: a bar can follow it."""

    def asked(a: Frames, b: Frames) -> Field:
        found = []
        for one, two in zip(a.split(1), b.split(1), strict=True):
            found.append(flow(one, two))
            step()
        return torch.cat(found)

    return asked


def check_ways(ways: Ways, video: Latents) -> None:
    """Checks that a flow, forth and back, fits clips.

    Raises:
        ValueError: other shapes.
    """
    wanted = (len(video), video.shape[2] - 1, 2, *video.shape[3:])
    pair = ways if isinstance(ways, tuple | list) else (ways,)
    found = [tuple(way.shape) if isinstance(way, Tensor) else type(way).__name__ for way in pair]
    if found != [wanted, wanted]:
        raise ValueError(
            f"the flow of clips {tuple(video.shape)} must be two tensors, forth and back, of {wanted} each, got "
            f"{' and '.join(map(str, found))}"
        )


def check_frames(video: Tensor) -> None:
    """Checks clips, or latents, of three frames or more.

    Raises:
        ValueError: no tensor, other axes, fewer frames, NaN or infinity, or plainly another scale.
    """
    if not isinstance(video, Tensor):
        raise ValueError(f"flicker needs tensors, got {type(video).__name__}")
    if video.ndim != 5 or not video.numel() or not video.is_floating_point():
        found = f"{tuple(video.shape)} of {video.dtype}"
        raise ValueError(f"flicker needs floating-point clips (batch, channel, frame, height, width), got {found}")
    if video.shape[2] < 3:
        raise ValueError(f"flicker is seen in 3 frames or more, got clips of {video.shape[2]}")
    low, high = (float(extreme) for extreme in video.detach().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("flicker needs finite clips, got NaN or infinity")
    if max(-low, high) > 1 + CLAMPED:
        raise ValueError(
            f"flicker needs clips in [-1, 1], or latents of about unit variance, got {low:g} to {high:g}; "
            "`latentlab.video.from_uint8` reads 8-bit pictures"
        )


def shrunk(field: Field, size: tuple[int, int]) -> Field:
    """The field of clips as one of their latents: its mean over the pixels of a latent, in latents' sides."""
    scale = field.new_tensor([size[1] / field.shape[3], size[0] / field.shape[2]])
    return F.interpolate(field, size=size, mode="area") * scale[:, None, None]


def warp(frames: Frames, field: Field, *, mode: str = "bicubic") -> Frames:
    """Each frame read where the field points; bicubic, since bilinear reading would hide noise."""
    return _read(frames, _places(field), mode)


def visible(there: Field, back: Field) -> Bool[Tensor, "frame height width"]:
    """Pixels whose way there and back closes: |u + w|^2 <= 0.01 (|u|^2 + |w|^2) + 0.5 (Sundaram et al. 2010, eq. 5).

    Pixels that leave the frame are not visible.
    """
    return _closes(there, back, _places(there))


def follow(frames: Frames, there: Field, back: Field) -> tuple[Frames, Bool[Tensor, "frame height width"]]:
    """`warp(frames, there)` and `visible(there, back)`, which share most of their work."""
    places = _places(there)
    return _read(frames, places, "bicubic"), _closes(there, back, places)


def _places(field: Field) -> Float[Tensor, "frame height width 2"]:
    """Where the field points, as `grid_sample` counts: from -1 at the first pixel to 1 at the last."""
    height, width = field.shape[2:]
    rows = torch.linspace(-1, 1, height, device=field.device, dtype=field.dtype)[:, None]
    columns = torch.linspace(-1, 1, width, device=field.device, dtype=field.dtype)
    x = torch.addcmul(columns, field[:, 0], field.new_tensor(2 / max(1, width - 1)))
    y = torch.addcmul(rows, field[:, 1], field.new_tensor(2 / max(1, height - 1)))
    return torch.stack([x, y], 3)


def _read(frames: Frames, places: Tensor, mode: str) -> Frames:
    return F.grid_sample(frames, places, mode=mode, padding_mode="border", align_corners=True)


def _closes(there: Field, back: Field, places: Tensor) -> Bool[Tensor, "frame height width"]:
    returned = _read(back, places, "bilinear")
    gap = _square(there + returned)
    size = _square(there) + _square(returned)
    x, y = (places.abs() <= 1 + 1e-6).unbind(3)  # rounding must not push a still border pixel out
    return (gap <= 0.01 * size + 0.5) & x & y


def _square(field: Field) -> Float[Tensor, "frame height width"]:
    return field[:, 0].square() + field[:, 1].square()
