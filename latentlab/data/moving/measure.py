"""Reads the factors of a moving-shapes clip back from its pixels, in closed form.

The world's colours are linear: a pixel is `background + alpha * (object - background)`. Projecting on that one line
gives the matte `alpha`, and everything about the shape follows from the matte's complex moments, the means of `z**k`
over the object with `z = x + iy` from the centroid, y up. Round blur leaves them alone, and a turn by an angle
multiplies them by `exp(i k angle)`. Only the exposure needs the shape drawn anew (`blur`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.data.moving.blur import squared_exposure
from latentlab.data.moving.cues import MIN_CONTRAST, MIN_SPEED, SYMMETRY, check_clips, hue_of, nearest_shape
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.data.moving.measure_scenes import measure_scenes
from latentlab.data.moving.moments import MatteMoments, polygon_moment, robust_line
from latentlab.data.moving.render import BACKGROUND_VALUE, POLYGONS
from latentlab.factors import FactorTable
from latentlab.shapes import Video

MIN_SMEAR, MAX_BLUR_ERROR = 0.2, 0.3  # pixels a frame of exposure; standard error of the squared exposure
CHUNK = 16  # clips at a time, so that memory stays small


@clear_errors
def measure(video: Video, *, objects: int = 1) -> FactorTable:
    """Reads the factors from clips of the moving-shapes world, exact or generated.

    A factor that a clip does not show is NaN: all of them without an object, motion with fewer than two frames,
    direction where the speed is below 0.02 pixels a frame or twice its own standard error, rotation of a circle, blur
    where the motion smears too little, or noise hides it (standard error of its square above 0.3).

    Absolute errors on 512 held-out clips, median and 95th percentile (`python benchmarks/measure_accuracy.py`):

    | factor | exact render | noise of 4/255 |
    | --- | --- | --- |
    | shape | none wrong | none wrong |
    | hue, degrees | 1e-6, 4e-6 | 0.17, 0.53 |
    | size, pixels | 5e-8, 4e-7 | 0.012, 0.041 |
    | start_x and start_y, pixels | 0.0003, 0.003 | 0.006, 0.022 |
    | direction, degrees (87 % of the clips) | 0.004, 0.12 | 0.12, 1.0 |
    | speed, pixels a frame | 2e-5, 2e-4 | 0.0008, 0.0024 |
    | rotation, degrees a frame | 0.0006, 0.006 | 0.010, 0.056 |
    | background_hue, degrees | 3e-6, 7e-6 | 0.32, 0.91 |
    | light | 1e-8, 4e-8 | 0.0015, 0.0026 |
    | blur, frames, where it smears half a pixel | 0.06, 0.21 (97 % read) | 0.07, 0.23 (64 % read) |

    Blur is the one reading to distrust on other clips: errors that follow the edges, such as strong compression, pass
    for smear, and its standard error does not see them.

    Args:
        video: any number of clips and frames of 64 x 64 pixels.
        objects: most that a clip may show. With 1 whatever is no background is one object; with 2 clips of none, one
            and two are told apart, see `measure_scenes`.

    Returns:
        One row a clip, columns as in `FACTORS`; of two objects as in `measure_scenes`.

    Raises:
        ValueError: the axes or the range are not those of a `Video`, a value is not finite, or more than two objects.

    >>> from latentlab.data.moving.dataset import moving_shapes
    >>> video, factors = moving_shapes(2, seed=0, fixed={"light": 0.8, "speed": 0.5})
    >>> measure(video)["light"].round(3), measure(video)["speed"].round(3)
    (array([0.8, 0.8]), array([0.5, 0.5]))
    """
    if objects not in (1, 2):
        raise ValueError(f"objects must be 1 or 2, the most that a clip may show, got {objects!r}")
    check_clips(video)
    if objects == 2:
        return measure_scenes(video)
    rows = [_read(chunk) for chunk in video.split(CHUNK)] if len(video) else [np.zeros((0, len(FACTORS)))]
    return FactorTable(np.concatenate(rows), FACTORS)


def mask(video: Video) -> Float[Tensor, "batch 1 frame height width"]:
    """The soft matte: share of each pixel that the object covers, 0 to 1.

    Args:
        video: clips of the moving-shapes world.

    Returns:
        The matte, on the video's device; zero where no object is seen.

    Raises:
        ValueError: as `measure`.

    >>> from latentlab.data.moving.dataset import MovingShapes
    >>> item = MovingShapes(1)[0]
    >>> bool((mask(item.video) - item.mask).abs().max() < 0.02)
    True
    """
    check_clips(video)
    return torch.cat([_see(chunk).matte for chunk in video.split(CHUNK)]).clamp(0, 1)[:, None]


def track(video: Video) -> Float[np.ndarray, "batch frame 2"]:
    """The object's centroid in every frame.

    Args:
        video: clips of the moving-shapes world.

    Returns:
        Pixels from the left and from the top; NaN where no object is seen.

    Raises:
        ValueError: as `measure`.

    >>> from latentlab.data.moving.dataset import moving_shapes
    >>> track(moving_shapes(1, seed=0, fixed={"speed": 0, "start_x": 30, "start_y": 35})[0])[0, 7].round(2)
    array([30., 35.])
    """
    check_clips(video)
    mattes = [MatteMoments.of(_see(chunk).matte) for chunk in video.split(CHUNK)]
    return np.concatenate([np.where(m.seen[..., None], m.centre, np.nan) for m in mattes])


def pose(video: Video) -> Float[np.ndarray, " batch"]:
    """How far the object is turned in the first frame, on the straight line through the phases of its own symmetry.

    Args:
        video: clips of the moving-shapes world.

    Returns:
        Degrees counterclockwise from upright, up to a turn that maps the shape onto itself; NaN of a circle, and where
        no object is seen.

    Raises:
        ValueError: as `measure`.

    >>> from latentlab.data.moving.dataset import moving_shapes
    >>> star = {"shape": 3, "rotation": 2.0, "speed": 0.5, "blur": 0.0}
    >>> pose(moving_shapes(1, seed=0, fixed=star)[0][:, :, 5:]).round(1)
    array([10.])
    """
    check_clips(video)
    return np.concatenate([_pose(MatteMoments.of(_see(chunk).matte)) for chunk in video.split(CHUNK)])


def _pose(moments: MatteMoments) -> np.ndarray:
    shape = nearest_shape(moments, _mean(moments.area, moments.seen))
    return np.where(moments.seen.any(1) & (shape > 0), np.rad2deg(_rotation(moments, shape)[0]), np.nan)


def angle_difference(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """How far angle `a` is ahead of `b`, in degrees wrapped to [-180, 180).

    >>> float(angle_difference(10, 350))
    20.0
    """
    return (np.asarray(a) - b + 180) % 360 - 180


@dataclass(frozen=True)
class _Seen:
    """What the colours say: RGB in [0, 1] and the matte, unclipped so that noise stays unbiased, zero elsewhere."""

    background: np.ndarray  # (batch, 3)
    colour: np.ndarray  # (batch, 3)
    matte: Tensor  # (batch, frame, height, width)


def _see(video: Video) -> _Seen:
    clip = video.detach().float().add(1).div(2).transpose(1, 2)  # (batch, frame, 3, height, width)
    # The object covers a tenth of the frame at most, so a median is background; every fourth pixel will do.
    level = clip[..., ::2, ::2].flatten(3).median(3).values  # (batch, frame, 3)
    background = level.mean(1)
    gain = (level.sum(2) / background.sum(1, keepdim=True).clamp(min=1e-3)).clamp(0.5, 2)  # flicker of the light
    rest = (clip - level[..., None, None]) / gain[..., None, None, None]
    step = _object_step(rest)  # from background to object
    contrast = step.square().sum(1).clamp(min=1e-6)
    matte = torch.einsum("btchw,bc->bthw", rest, step / contrast[:, None])
    # Nothing further than two pixels from the object counts: far away even faint errors would weigh in the moments.
    near = matte > 0.35
    for axis in (2, 3):
        near = near | near.roll(1, axis) | near.roll(-1, axis) | near.roll(2, axis) | near.roll(-2, axis)
    matte = matte * near * (contrast.sqrt() > MIN_CONTRAST)[:, None, None, None]
    return _Seen(background.cpu().double().numpy(), (background + step).cpu().double().numpy(), matte)


def _object_step(rest: Float[Tensor, "batch frame 3 height width"]) -> Float[Tensor, "batch 3"]:
    """Median colour, less the background's, of the pixels whose neighbourhoods differ most from the background."""
    batch, frames = rest.shape[:2]
    distance = rest.square().sum(2)
    # A pixel's own noise must not help it to be chosen, or the contrast reads too high: its eight neighbours decide.
    rows = distance + distance.roll(1, 2) + distance.roll(-1, 2)
    around = rows + rows.roll(1, 3) + rows.roll(-1, 3) - distance
    inner = around.flatten(1).topk(6 * frames).indices
    pixels = rest.transpose(1, 2).reshape(batch, 3, -1)
    return pixels.gather(2, inner[:, None].expand(-1, 3, -1)).median(2).values


def _read(video: Video) -> np.ndarray:
    sight = _see(video)
    moments = MatteMoments.of(sight.matte)
    seen = np.asarray(moments.seen.any(1))
    area = _mean(moments.area, moments.seen)
    shape = nearest_shape(moments, area)
    (x, _, _), (y, _, _) = lines = [robust_line(moments.centre[..., i], moments.seen) for i in (0, 1)]
    velocity = lines[0][1] - 1j * lines[1][1]
    speed, error = np.abs(velocity), np.hypot(lines[0][2], lines[1][2])
    direction = np.where(speed > np.maximum(MIN_SPEED, 2 * error), np.rad2deg(np.angle(velocity)) % 360, np.nan)
    angle, rotation = _rotation(moments, shape)
    size = np.sqrt(area / np.pi)
    blur = _blur(sight.matte, seen, shape, size, x - 1j * y, velocity, angle, rotation)
    read = {
        "shape": shape,
        "hue": hue_of(sight.colour),
        "size": size,
        "start_x": x,
        "start_y": y,
        "direction": direction,
        "speed": speed,
        "rotation": np.where(shape == 0, np.nan, np.rad2deg(rotation)),
        "background_hue": hue_of(sight.background),
        "light": sight.background.max(1) / BACKGROUND_VALUE,
        "blur": blur,
    }
    return np.where(seen[:, None], np.stack([read[name] for name in NAMES], 1), np.nan)


_SYMMETRY = np.array([SYMMETRY[s] for s in SHAPES])
_UPRIGHT = np.array([polygon_moment(POLYGONS[s], SYMMETRY[s]) for s in SHAPES])


def _rotation(moments: MatteMoments, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angle in the first frame and turn a frame, in radians, from the phase of the moment of the shape's symmetry.

    It aliases past half the angle between two symmetric poses in a frame (36 degrees for the star); zero for circles.
    """
    order = _SYMMETRY[shape.astype(int)]
    m = np.take_along_axis(moments.central, order[:, None, None], 2)[..., 0]
    step = np.angle((m[:, 1:] * m[:, :-1].conj()).sum(1))  # a first guess, so that the fit has nothing to unwrap
    still = np.exp(-1j * step[:, None] * np.arange(m.shape[1])) * m
    mean = still.sum(1)
    start, slope, _ = robust_line(np.angle(still * mean.conj()[:, None]), moments.seen)
    angle = np.angle(mean) - np.angle(_UPRIGHT[shape.astype(int)]) + start
    turns = np.maximum(order, 1)
    return np.where(order > 0, angle / turns, 0), np.where(order > 0, (step + slope) / turns, 0)


def _blur(
    matte: Tensor,
    seen: np.ndarray,
    shape: np.ndarray,
    size: np.ndarray,
    start: np.ndarray,
    velocity: np.ndarray,
    angle: np.ndarray,
    rotation: np.ndarray,
) -> np.ndarray:
    """Exposure in frames, where its square is known to better than `MAX_BLUR_ERROR`."""
    mattes = matte.cpu().double().numpy()
    blur = np.full(len(shape), np.nan)
    for i in np.nonzero(seen & np.isfinite(velocity))[0]:
        corners = POLYGONS[SHAPES[int(shape[i])]] * size[i]
        if abs(velocity[i]) + abs(rotation[i]) * np.abs(corners).max() < MIN_SMEAR:
            continue
        square, error = squared_exposure(mattes[i], corners, start[i], velocity[i], angle[i], rotation[i])
        if error < MAX_BLUR_ERROR:
            blur[i] = np.sqrt(max(square, 0.0))
    return blur


def _mean(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return (values * seen).sum(1) / np.maximum(seen.sum(1), 1)
