"""The explorer's sliders and buttons: read as a setting, and moved to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from latentlab.directions import Range
from latentlab.directions.mask import PROFILES
from latentlab.shapes import Video
from latentlab.view.film import strip
from latentlab.view.pages import render_page
from latentlab.view.setting import PATHS, ExplorerState

Reach = tuple[float, float] | Range
SHOWN = ("side by side", "edit alone", "with the difference", "with the source")
BOX_STEP = 0.05  # of a side of the frame; the least a box is wide
EVERYWHERE = (0.0, 0.0, 1.0, 1.0)


class Controls:
    """Widgets by purpose; whoever owns them listens to them.

    Args:
        limits: lowest and highest strength of each direction, standard deviations; a `Range` also says why.
        frames: of the clip.
        local: whether edits may be held to places and frames.
        between: whether there is a second clip to walk to.
        caption, seed: to begin with; None where no clip can be drawn.
    """

    def __init__(
        self,
        limits: Mapping[str, Reach],
        frames: int,
        *,
        local: bool,
        between: bool,
        caption: str | None,
        seed: int,
    ) -> None:
        import ipywidgets as w

        wide = {"layout": w.Layout(width="98%"), "style": {"description_width": "11em"}}
        last = frames - 1
        self.count = frames
        self.strengths = {}
        for name, limit in limits.items():
            low, high, why = _reach(name, limit)
            self.strengths[name] = w.FloatSlider(
                value=0.0, min=low, max=high, step=(high - low) / 60 or 0.1, description=name, disabled=low == high,
                tooltip=f"{name}, standard deviations{why}", readout_format=".1f", **wide,
            )  # fmt: skip
        self.position = w.FloatSlider(value=0.0, min=0, max=1, step=0.02, description="to the other clip", **wide)
        self.path = w.Dropdown(options=PATHS, description="path", **wide)
        self.profile = w.Dropdown(options=PROFILES, description="over time", **wide)
        self.frames = w.IntRangeSlider(value=(0, last), min=0, max=last, description="frames", **wide)
        unit = {"value": (0.0, 1.0), "min": 0, "max": 1, "step": BOX_STEP, "readout_format": ".0%", **wide}
        self.across = w.FloatRangeSlider(description="box, across", **unit)
        self.down = w.FloatRangeSlider(description="box, down", **unit)
        self.playing = w.ToggleButton(value=True, description="play", icon="play", layout=w.Layout(width="5em"))
        self.frame = w.IntSlider(
            value=0, min=0, max=last, description="frame", style={"description_width": "3.5em"},
            layout=w.Layout(width="18em"),
        )  # fmt: skip
        self.show = w.Dropdown(options=SHOWN, layout=w.Layout(width="12em"))
        told = {**wide, "style": {"description_width": "4em"}}  # captions are long
        self.caption = w.Text(value=caption or "", description="caption", continuous_update=False, **told)
        self.seed = w.IntText(value=seed, description="seed", **told)
        self.name = w.Combobox(placeholder="name of a preset or a file", ensure_option=False)
        self.keys = w.HTML()
        self.buttons = {
            name: w.Button(description=name, icon=icon, tooltip=tip, layout=w.Layout(width="auto"))
            for name, icon, tip in (
                ("undo", "undo", "back to the setting before"),
                ("reset", "refresh", "no edit"),
                ("key this frame", "key", "these strengths at this frame; between keys they change evenly"),
                ("remove key", "trash", "forget the key at this frame"),
                ("wipe paint", "eraser", "edit everywhere again"),
                ("draw clip", "magic", "edit a clip of this caption and seed"),
                ("own clip", "film", "edit the clip that was given"),
                ("keep", "bookmark", "name this setting"),
                ("recall", "folder-open", "go to a named setting"),
                ("export recipe", "save", "write a file that makes these frames again"),
            )
        }
        self.brush = _brush() if local else None
        self.radius = w.FloatSlider(value=3.0, min=0.5, max=8.0, step=0.5, description="brush, cells", **wide)
        if self.brush is not None:
            w.jslink((self.radius, "value"), (self.brush, "radius"))
        self.widget = self._arranged(w, local, between, caption is not None)

    def _arranged(self, w: Any, local: bool, between: bool, draws: bool) -> Any:
        def row(*parts: Any) -> Any:
            return w.HBox(list(parts), layout=w.Layout(flex_flow="row wrap"))

        def column(*parts: Any) -> Any:
            return w.VBox(list(parts), layout=w.Layout(width="27em", max_width="100%", margin="0 1em 0 0"))

        named = self.buttons
        sliders = list(self.strengths.values())
        half = (len(sliders) + 1) // 2 if len(sliders) > 4 else len(sliders)
        drawers = {}
        if local:
            place = column(self.across, self.down, self.frames, self.profile)
            paint = [] if self.brush is None else [column(self.brush, self.radius, row(named["wipe paint"]))]
            drawers["where: box, brush, frames"] = row(place, *paint)
            drawers["keyframes"] = column(row(named["key this frame"], named["remove key"]), self.keys)
        if draws:
            drawers["another clip: caption and seed"] = column(
                self.caption, self.seed, row(named["draw clip"], named["own clip"])
            )
        drawers["presets and recipes"] = row(self.name, named["keep"], named["recall"], named["export recipe"])
        more = w.Accordion(list(drawers.values()), titles=tuple(drawers), selected_index=None)
        shown = w.VBox(
            [
                row(self.playing, self.frame, self.show, named["undo"], named["reset"]),
                *([row(column(self.position), column(self.path))] if between else []),
                w.HTML(render_page("unit.html")),
                row(column(*sliders[:half]), column(*sliders[half:])),
                more,
            ]
        )
        return shown.add_class("latentlab-explorer")

    def listen(self, moved: Callable[[Any], None], looked: Callable[[Any], None]) -> None:
        """Calls `moved` when the setting may have changed, `looked` when only the way it is shown has."""
        setting = (self.position, self.path, self.profile, self.frames, self.across, self.down)
        for control in (*self.strengths.values(), *setting):
            control.observe(moved, "value")
        if self.brush is not None:
            self.brush.observe(moved, "rows")
        for control in (self.playing, self.frame, self.show):
            control.observe(looked, "value")

    def read(self, now: ExplorerState) -> ExplorerState:
        """The setting of the sliders; `now` tells what no slider does."""
        (left, right), (top, bottom) = _open(*self.across.value), _open(*self.down.value)
        whole = (left, top, right, bottom) == EVERYWHERE
        frames = tuple(self.frames.value)
        moved = now.moved(
            position=round(self.position.value, 3),
            path=str(self.path.value),
            profile=str(self.profile.value),
            box=None if whole else (left, top, right, bottom),
            frames=None if frames == (0, self.count - 1) else frames,
            painted=() if self.brush is None else tuple(self.brush.rows),
        )
        strengths = self.read_strengths()
        if not now.keys:
            return moved.moved(strengths=tuple((name, value) for name, value in strengths.items() if value))
        known = now.at(self.frame.value)
        if all(abs(value - known.get(name, 0.0)) < 1e-3 for name, value in strengths.items()):
            return moved
        return moved.keyed(self.frame.value, strengths)  # with keys, a slider speaks of the frame at hand

    def read_strengths(self) -> dict[str, float]:
        """Of the sliders, those at 0 too."""
        return {name: round(slider.value, 3) + 0.0 for name, slider in self.strengths.items()}

    def follow(self, setting: ExplorerState) -> None:
        """Moves everything to a setting."""
        strengths = setting.at(self.frame.value)
        left, top, right, bottom = setting.box or EVERYWHERE
        for name, slider in self.strengths.items():
            slider.value = strengths.get(name, 0.0)
        self.position.value, self.path.value, self.profile.value = setting.position, setting.path, setting.profile
        self.frames.value = setting.frames or (0, self.count - 1)
        self.across.value, self.down.value = (left, right), (top, bottom)
        if self.brush is not None:
            self.brush.rows = list(setting.painted)
        at = ", ".join(str(frame) for frame, _ in setting.keys)
        self.keys.value = f"keys at frames {at}; sliders speak of the frame above" if at else "no keys yet"
        if setting.caption is not None:
            self.caption.value, self.seed.value = setting.caption, setting.seed

    def paint_over(self, clip: Video) -> None:
        """Shows the frame at hand under the brush."""
        if self.brush is not None:
            frame = min(self.frame.value, clip.shape[2] - 1)
            self.brush.picture = strip(clip[:, :, frame : frame + 1])


def _reach(name: str, limit: Reach) -> tuple[float, float, str]:
    """Lowest and highest strength, and what a slider says of them."""
    if isinstance(limit, Range):
        low, high = limit.low, limit.high
        why = f"; usable from {low:g} ({limit.why_low}) to {high:g} ({limit.why_high})"
    else:
        (low, high), why = limit, ""
    if not low <= 0 <= high:
        raise ValueError(f"limits of {name!r} are (low, high) with 0 between them, got ({low}, {high})")
    return float(low), float(high), why


def _open(low: float, high: float) -> tuple[float, float]:
    """A side of a box whose handles may lie on each other."""
    return (low, high) if low < high else (low, low + BOX_STEP) if low + BOX_STEP <= 1 else (1 - BOX_STEP, 1.0)


def _brush() -> Any:
    try:
        from latentlab.view.brush import Brush
    except ImportError:  # a box is left without anywidget
        return None
    return Brush()
