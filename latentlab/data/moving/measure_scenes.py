"""Reads clips of none, one or two moving shapes back: which there are, where, and how they move.

As in `measure`, colours are linear: a pixel is `background + sum of alpha_i * (object_i - background)`, and with two
objects two unknowns stand against three channels. Of an object that another hides a part of, the shape is drawn where
it must be so that what is left visible agrees (Gauss-Newton on its pose in each frame).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from latentlab.data.moving.cues import MIN_CONTRAST, MIN_SPEED, SYMMETRY, check_clips, hue_of, nearest_shape
from latentlab.data.moving.factors import SHAPES, SIDE
from latentlab.data.moving.moments import MatteMoments, polygon_moment
from latentlab.data.moving.paths import read_path
from latentlab.data.moving.render import BACKGROUND_VALUE, POLYGONS, pixel_coverage
from latentlab.data.moving.scenes import SceneSampler
from latentlab.factors import FactorTable
from latentlab.shapes import Video

SPECS = tuple(s for s in SceneSampler(objects=(0, 1, 2), changes=1).specs if s.name != "blur")
OTHER_COLOUR = 0.12  # RGB distance from what background and first object mix to, at which there is a second one
ALIKE = 0.97  # cosine between deviations of one object from the background
GROUND = 0.04  # RGB distance from the background's colour, in the mean of nine pixels, that is not its own
STEPS = 6  # of Gauss and Newton


def measure_scenes(video: Video) -> FactorTable:
    """Reads clips of the world with up to two objects before a plain background, exact or generated.

    Of 400 held-out exact renders with none, one and two objects, half of whose motions change, counts, shapes, names of
    hues, sizes (to 0.2 pixels), directions (to 10 degrees), speeds (to 0.05 pixels a frame), kinds and frames of a
    change (to one), left-right order and which is in front were all read right, places (to half a pixel) in 99.8 %
    (`python benchmarks/measure_accuracy.py --only scenes --count 400`).

    Args:
        video: any number of clips and frames of 64 x 64 pixels.

    Returns:
        One row a clip, with the columns of `MovingShapes(objects=(0, 1, 2), changes=1)` but the exposure. Of two
        objects the first is the one further left, in the mean over frames. NaN is what a clip does not show: factors
        of absent objects, direction at rest, rotation of a circle, which is in front of two that never meet; and all
        of a clip whose ground is patterned (`camera=`), before which no object can be told by its colour. On noisy
        clips, least to be trusted are two that meet whose colours deviate from the background in opposite directions.

    Raises:
        ValueError: as `measure`.

    >>> from latentlab.data.moving.dataset import moving_shapes
    >>> video, factors = moving_shapes(3, objects=(0, 1, 2))
    >>> measure_scenes(video)["objects"] == factors["objects"]
    array([ True,  True,  True])
    """
    check_clips(video)
    rows = [see_scene(clip).row for clip in video]
    values = [[row.get(spec.name, np.nan) for spec in SPECS] for row in rows]
    return FactorTable(np.array(values, dtype=float).reshape(len(rows), len(SPECS)), SPECS)


@dataclass(frozen=True)
class Thing:
    """An object as it was found: its colour, and in each frame where it is and the phase of its symmetry's moment."""

    colour: np.ndarray
    shape: int
    size: float
    centre: np.ndarray  # (frame, 2)
    turned: np.ndarray  # (frame,), complex
    seen: np.ndarray  # (frame,)


@dataclass(frozen=True)
class SeenScene:
    """One clip: its factors by name, its objects from left to right, and the share of pixels that shows each of them.

    `angles` are by how far each is turned in every frame, degrees counterclockwise from upright, on the straight line.
    """

    row: dict[str, float]
    things: tuple[Thing, ...]
    mattes: Float[np.ndarray, "object frame height width"]
    angles: tuple[Float[np.ndarray, " frame"], ...] = ()


def see_scene(clip: Float[Tensor, "3 frame height width"]) -> SeenScene:
    """What one clip shows.

    >>> from latentlab.data.moving.dataset import moving_shapes
    >>> seen = see_scene(moving_shapes(1, objects=2)[0][0])
    >>> len(seen.things), seen.mattes.shape
    (2, (2, 16, 64, 64))
    """
    rest, background = _deviation(clip)
    steps = _object_steps(rest)
    mattes = _mattes(rest, steps)
    if _patterned(rest, mattes):
        return SeenScene({}, (), mattes[:0])
    row = {"objects": 0.0, "background_hue": float(hue_of(background[None])[0])}
    row["light"] = float(background.max() / BACKGROUND_VALUE)
    things, front, shown = _things(mattes, [background + step for step in steps])
    order = sorted(range(len(things)), key=lambda i: np.nanmean(things[i].centre[things[i].seen, 0]))
    row["objects"] = float(len(things))
    motions = [_motion(things[i]) for i in order]
    for end, (motion, _) in zip(("", ".2"), motions, strict=False):
        row |= {f"{name}{end}": value for name, value in motion.items()}
    row |= {"front": float(order.index(front))} if front is not None else {}
    in_order = tuple(things[i] for i in order)
    return SeenScene(row, in_order, mattes[[shown[i] for i in order]], tuple(angles for _, angles in motions))


def _deviation(clip: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Pixels less the background, `(frame, height, width, 3)`, flicker of the light taken out, and the background."""
    pixels = clip.detach().float().cpu().add(1).div(2).permute(1, 2, 3, 0).double().numpy()
    level = np.median(pixels.reshape(len(pixels), -1, 3), axis=1)
    background = level.mean(0)
    gain = np.clip(level.sum(1) / max(background.sum(), 1e-3), 0.5, 2)
    return (pixels - level[:, None, None]) / gain[:, None, None, None], background


def _object_steps(rest: np.ndarray) -> list[np.ndarray]:
    """Colours less the background's, of none, one or two objects."""
    energy = _around((rest**2).sum(-1))
    found: list[np.ndarray] = []
    unexplained, least = energy, MIN_CONTRAST**2
    for _ in range(2):
        peak = np.unravel_index(unexplained.argmax(), unexplained.shape)
        if unexplained[peak] < least:
            break
        found.append(_plateau(rest, energy, rest[peak]))
        unit = found[0] / np.linalg.norm(found[0])
        along = np.maximum(rest @ unit, 0)  # what deviates the other way is another object
        across = np.linalg.norm(rest - along[..., None] * unit, axis=-1)
        unexplained, least = _around(across**2), OTHER_COLOUR**2
    return [step for step in found if np.linalg.norm(step) > MIN_CONTRAST]


def _plateau(rest: np.ndarray, energy: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Median of the inner pixels that deviate in the direction of `like`."""
    size = np.linalg.norm(rest, axis=-1)
    alike = rest @ like / np.maximum(size * np.linalg.norm(like), 1e-9) > ALIKE
    scores = np.where(alike, energy, 0.0).ravel()
    inner = np.argsort(scores)[-6 * len(rest) :]
    return np.median(rest.reshape(-1, 3)[inner], axis=0)


def _around(image: np.ndarray) -> np.ndarray:
    """Mean over the eight neighbours of each pixel: its own noise does not count."""
    kernel = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    kernel[..., 1, 1] = 0
    return F.conv2d(torch.from_numpy(image)[:, None], kernel / 8, padding=1)[:, 0].numpy()


def _mattes(rest: np.ndarray, steps: list[np.ndarray]) -> Float[np.ndarray, "object frame height width"]:
    """Share of each pixel that shows each object, zero further than two pixels from it."""
    if not steps:
        return np.zeros((0, *rest.shape[:3]))
    mattes = np.moveaxis(rest @ np.linalg.pinv(np.stack(steps)), -1, 0)
    return mattes * (_grow(mattes > 0.35, 2) > 0)


def _patterned(rest: np.ndarray, mattes: np.ndarray) -> bool:
    """Whether most of what no object covers deviates from the one colour of a plain background."""
    smooth = F.avg_pool2d(torch.from_numpy(rest).permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False)  # less noise
    free = ~_grow(np.asarray((mattes > 0.05).any(0)), 2).astype(bool)
    return bool(free.any()) and float((smooth.norm(dim=1).numpy()[free] > GROUND).mean()) > 0.5


def _grow(where: np.ndarray, pixels: int) -> np.ndarray:
    side = 2 * pixels + 1
    flat = torch.from_numpy(where).float().flatten(0, -3)[:, None]
    return F.max_pool2d(flat, side, 1, pixels)[:, 0].numpy().reshape(where.shape)


def _things(mattes: np.ndarray, colours: list[np.ndarray]) -> tuple[list[Thing], int | None, list[int]]:
    """What the mattes show, which of two is in front where they touch, and the matte of each."""
    if not len(mattes):
        return [], None, []
    moments = MatteMoments.of(torch.from_numpy(mattes))
    there = [i for i in range(len(mattes)) if moments.seen[i].mean() >= 0.5]
    touch = np.zeros(mattes.shape[1], dtype=bool)
    if len(there) == 2:
        touch = np.asarray(_grow(mattes > 0.3, 1).all(0).reshape(len(touch), -1).any(1))
    things = [_from_moments(moments, i, colours[i], ~touch) for i in there]
    if not touch.any():
        return things, None, there
    drawn = [_draw(thing.shape, thing.size, thing.centre, _angles(thing.shape, thing.turned)) for thing in things]
    off = [((matte - shape)[touch] ** 2).sum() for matte, shape in zip(mattes[there], drawn, strict=True)]
    front = int(off[1] < off[0])
    rear = 1 - front
    known = (things[rear].seen & ~touch).sum() >= 3
    things[rear] = _completed(things[rear], moments.central[rear], mattes[rear], 1 - mattes[front].clip(0, 1), known)
    return things, front, there


def _from_moments(moments: MatteMoments, i: int, colour: np.ndarray, free: np.ndarray) -> Thing:
    """An object from its matte alone; shape and size from the frames in which nothing hides it, if there are enough."""
    seen = moments.seen[i]
    use = seen & free if (seen & free).sum() >= 3 else seen
    one = MatteMoments(
        use[None], moments.area[i : i + 1], moments.centre[i : i + 1], moments.central[i : i + 1] * use[:, None]
    )
    area = moments.area[i][use].mean()
    shape = int(nearest_shape(one, np.array([area]))[0])
    turned = moments.central[i][:, SYMMETRY[SHAPES[shape]]]
    return Thing(colour, shape, float(np.sqrt(area / np.pi)), moments.centre[i], turned, seen)


def _angles(shape: int, turned: np.ndarray) -> np.ndarray:
    order = SYMMETRY[SHAPES[shape]]
    if not order:
        return np.zeros(len(turned))
    return (np.angle(turned) - np.angle(polygon_moment(POLYGONS[SHAPES[shape]], order))) / order


def _draw(shape: int, size: float, centre: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """A shape in these poses, `(frame, height, width)`."""
    corners = POLYGONS[SHAPES[shape]] @ np.array([1, 1j]) * size * np.exp(1j * angle)[:, None]
    return pixel_coverage(np.stack([corners.real, -corners.imag], -1) + centre[:, None])


def _completed(thing: Thing, central: np.ndarray, matte: np.ndarray, visible: np.ndarray, known: bool) -> Thing:
    """An object that another hides a part of: the shape and the poses that agree best with what is visible.

    Args:
        thing: as its visible part says.
        central: its moments in each frame.
        matte, visible: share of each pixel that it shows, and that nothing hides.
        known: whether shape and size are those of frames in which it is whole.
    """
    best, least = thing, np.inf
    for shape in [thing.shape] if known else range(len(SHAPES)):
        turned = central[:, SYMMETRY[SHAPES[shape]]]
        fitted, off = _fit(replace(thing, shape=shape, turned=turned), matte, visible, known)
        if off < least:
            best, least = fitted, off
    return best


def _fit(thing: Thing, matte: np.ndarray, visible: np.ndarray, known: bool) -> tuple[Thing, float]:
    """Gauss-Newton on place and angle in each frame, and on the size unless that is known."""
    shape, size, centre = thing.shape, thing.size, np.nan_to_num(thing.centre, nan=SIDE / 2)
    angle, off = _angles(shape, thing.turned), np.inf
    for step in range(STEPS + 1):
        now = _draw(shape, size, centre, angle)
        rest = visible * (matte - now * visible)
        off = float((rest**2).sum())
        if step == STEPS:
            break
        moved = (
            _draw(shape, size, centre + np.array([0.1, 0]), angle),
            _draw(shape, size, centre + np.array([0, 0.1]), angle),
            _draw(shape, size, centre, angle + 0.02),
        )
        slopes = [visible**2 * (m - now) / d for m, d in zip(moved, (0.1, 0.1, 0.02), strict=True)]
        basis = np.stack(slopes, -1).reshape(len(now), -1, 3)
        normal = basis.swapaxes(1, 2) @ basis + np.diag([1e-3, 1e-3, 1e-1])
        change = np.linalg.solve(normal, basis.swapaxes(1, 2) @ rest.reshape(len(now), -1, 1))[..., 0]
        centre = centre + change[:, :2].clip(-2, 2)
        angle = angle + change[:, 2].clip(-0.3, 0.3)
        if not known:
            slope = visible**2 * (_draw(shape, size + 0.1, centre, angle) - _draw(shape, size, centre, angle)) / 0.1
            rest = visible * (matte - _draw(shape, size, centre, angle) * visible)
            size = float(np.clip(size + (slope * rest).sum() / (slope**2).sum().clip(1e-3), 3.5, 10))
    turned = np.exp(1j * SYMMETRY[SHAPES[shape]] * angle) * polygon_moment(
        POLYGONS[SHAPES[shape]], SYMMETRY[SHAPES[shape]]
    )
    return replace(thing, size=size, centre=centre, turned=turned), off


def _motion(thing: Thing) -> tuple[dict[str, float], np.ndarray]:
    """The factors of one object, and how far it is turned in every frame, degrees."""
    path = read_path(thing.centre, thing.seen)
    speed = abs(path.velocity)
    order, m = SYMMETRY[SHAPES[thing.shape]], thing.turned * thing.seen
    late = np.diff(path.clock)
    step = np.angle((m[1:] * m[:-1].conj())[late > 0].sum())  # a first guess, so that the fit has nothing to unwrap
    still = np.exp(-1j * step * path.clock) * m
    phase = np.angle(still * still.sum().conj())[thing.seen]
    turns = thing.seen.sum() > 1 and late.any()
    slope, begin = np.polyfit(path.clock[thing.seen], phase, 1) if turns else (np.nan, 0.0)
    upright = np.angle(polygon_moment(POLYGONS[SHAPES[thing.shape]], order)) if order else 0.0
    start = np.angle(still.sum()) + begin - upright
    angles = np.rad2deg(start + np.nan_to_num(step + slope) * path.clock) / max(order, 1)
    row = {
        "shape": float(thing.shape),
        "hue": float(hue_of(thing.colour[None])[0]),
        "size": thing.size,
        "start_x": path.start.real,
        "start_y": -path.start.imag,
        "direction": float(np.rad2deg(np.angle(path.velocity)) % 360) if speed > MIN_SPEED else np.nan,
        "speed": speed,
        "rotation": float(np.rad2deg(step + slope) / order) if order else np.nan,
        "change": float(path.change),
        "change_at": path.change_at,
        "turn": path.turn,
    }
    return row, angles if order else np.full(len(angles), np.nan)


def paired(read: FactorTable, true: FactorTable) -> FactorTable:
    """What was read, with first and second object exchanged where the hues then agree better with the true ones."""
    off = [
        np.abs((read[f"hue{one}"] - true["hue"] + 180) % 360 - 180)
        + np.abs((read[f"hue{other}"] - true["hue.2"] + 180) % 360 - 180)
        for one, other in (("", ".2"), (".2", ""))
    ]
    swap = off[1] < off[0]  # never where one is absent: NaN
    names = list(read.names)
    of_two = {name: name.removesuffix(".2") if name.endswith(".2") else f"{name}.2" for name in names}
    columns = [names.index(of_two[name]) if of_two[name] in names else names.index(name) for name in names]
    values = np.where(swap[:, None], read.values[:, columns], read.values)
    front = names.index("front")
    values[swap, front] = 1 - values[swap, front]
    return FactorTable(values, read.specs)
