"""The explorer: sliders over a latent space, in a notebook.

The picture follows the sliders without ever queueing: one worker computes the latest setting, a coarse preview first
where the space has one, and keeps what it has drawn.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from latentlab.directions.edit import Moves, edit
from latentlab.directions.mask import PROFILES
from latentlab.interpolate import lerp, nlerp, slerp
from latentlab.metrics.perceptual import psnr
from latentlab.metrics.temporal import flicker
from latentlab.record import frame_hash, write_text
from latentlab.shapes import Codes, Video
from latentlab.view.film import film
from latentlab.view.setting import PATHS, Setting
from latentlab.view.worker import LatestWins

WALKS = {"slerp": slerp, "lerp": lerp, "nlerp": nlerp}
REACH = 3.0  # standard deviations, where no usable range is known


class Space(Protocol):
    """What the explorer needs of a space."""

    def encode(self, video: Video) -> Codes: ...
    def decode(self, codes: Codes) -> Video: ...


@dataclass(frozen=True)
class View:
    """A drawn setting: its clip and what is said under it."""

    video: Video
    figures: dict[str, float]


class Explorer:
    """Sliders, clips side by side, figures. Show it by naming it at the end of a cell; see `explore`."""

    def __init__(
        self,
        space: Space,
        directions: Mapping[str, Moves],
        clip: Video,
        other: Video | None = None,
        *,
        preview: Callable[[Codes], Video] | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        fps: float = 8.0,
        width: int = 224,
    ) -> None:
        for name, given in (("clip", clip), ("other", other)):
            if given is not None and (given.ndim != 5 or len(given) != 1):
                raise ValueError(f"{name} must be one clip (1, 3, frame, height, width), got {tuple(given.shape)}")
        unknown = set(limits or {}) - set(directions)
        if unknown:
            raise ValueError(f"limits of unknown directions {', '.join(sorted(unknown))}")
        self.space, self.directions, self.fps, self.width = space, dict(directions), fps, width
        self.limits = {name: (limits or {}).get(name, (-REACH, REACH)) for name in self.directions}
        self.clip, self.other = clip, other
        self._ends: Tensor | None = None
        self._view: View | None = None
        self._key = f"film{id(self)}"
        self.presets: OrderedDict[str, Setting] = OrderedDict()
        self._past: list[Setting] = []
        self._following = False  # while widgets are moved by us and not by a person
        self.setting = Setting()
        decoders = [*([preview] if preview else []), space.decode]
        self._worker = LatestWins([lambda s, d=d: self._draw(s, d) for d in decoders], self._show, self._fail)
        self._build()
        self._worker.ask(self.setting)

    # What is drawn

    def _draw(self, setting: Setting, decode: Callable[[Codes], Video]) -> View:
        if self._ends is None:
            ends = [self.clip] if self.other is None else [self.clip, self.other]
            self._ends = torch.cat([self.space.encode(end) for end in ends])
        codes = self._ends[:1]
        if self.other is not None:
            codes = WALKS[setting.path](self._ends[:1], self._ends[1:], setting.position)[0]
        mask = setting.mask(self.clip)
        local = mask is not None or setting.profile != "constant"
        for name, strength in setting.strengths:
            where = {"profile": setting.profile, "mask": mask, "shape": self._shape()} if local else {}
            codes = edit(codes, self.directions[name], strength, **where)
        video = decode(codes).float().cpu().clamp(-1, 1)
        return View(video, self._figures(video, mask))

    def _shape(self) -> tuple[int, ...]:
        shape = tuple(getattr(self.space, "shape", ()))
        if len(shape) != 4:
            raise ValueError(
                "boxes, frames and profiles need a space whose codes have frames and places; this has none"
            )
        return shape

    def _figures(self, video: Video, mask: Tensor | None) -> dict[str, float]:
        source = self.clip.float().cpu()
        measured = flicker(video)
        figures = {"flicker, levels": float(measured.overall), "whole-frame flicker": float(measured.whole)}
        figures["like the source, dB"] = float(psnr(video, source))
        if mask is not None and not mask.all():
            kept = torch.where(mask > 0, source, video)
            figures["outside the box, dB"] = float(psnr(kept, source))
        return figures

    # What a person sees

    def _build(self) -> None:
        import ipywidgets as w

        wide, line = w.Layout(width="26em"), w.Layout(width="100%")
        self._screen, self._said = w.HTML(), w.HTML("<i>drawing ...</i>")
        self.sliders = {
            name: w.FloatSlider(
                value=0.0, min=low, max=high, step=(high - low) / 60, description=name, layout=wide,
                style={"description_width": "9em"}, readout_format=".1f",
            )
            for name, (low, high) in self.limits.items()
        }  # fmt: skip
        self._position = w.FloatSlider(value=0.0, min=0, max=1, step=0.02, description="to the other", layout=wide)
        self._path = w.Dropdown(options=PATHS, description="path")
        self._profile = w.Dropdown(options=PROFILES, description="over time")
        frames = self.clip.shape[2]
        self._frames = w.IntRangeSlider(value=(0, frames - 1), min=0, max=frames - 1, description="frames", layout=wide)
        self._across = w.FloatRangeSlider(
            value=(0.0, 1.0), min=0, max=1, step=0.05, description="box, across", layout=wide
        )
        self._down = w.FloatRangeSlider(value=(0.0, 1.0), min=0, max=1, step=0.05, description="box, down", layout=wide)
        self._playing = w.ToggleButton(value=True, description="playing", icon="play")
        self._frame = w.IntSlider(value=0, min=0, max=frames - 1, description="frame", disabled=True)
        self._compare = w.Dropdown(options=["side by side", "edit alone", "with the difference"], description="show")
        undo, reset = w.Button(description="undo", icon="undo"), w.Button(description="reset", icon="refresh")
        self._name = w.Combobox(placeholder="name of a preset or a recipe", ensure_option=False)
        keep, recall = w.Button(description="keep"), w.Button(description="recall")
        export = w.Button(description="export recipe", icon="save")
        for control in (*self.sliders.values(), self._position, self._path, self._profile, self._frames, self._across,
                        self._down):  # fmt: skip
            control.observe(self._moved, "value")
        for control in (self._playing, self._frame, self._compare):
            control.observe(lambda _: self._render(), "value")
        undo.on_click(lambda _: self.undo())
        reset.on_click(lambda _: self.set(Setting()))
        keep.on_click(lambda _: self._named(self.keep))
        recall.on_click(lambda _: self._named(self.recall))
        export.on_click(lambda _: self._named(lambda name: self.export(f"{name}.json")))
        between = [w.HBox([self._position, self._path])] if self.other is not None else []
        shape = len(getattr(self.space, "shape", ())) == 4
        local = [self._profile, self._frames, self._across, self._down] if shape else []
        self.widget = w.VBox(
            [
                self._screen,
                self._said,
                w.HBox([self._playing, self._frame, self._compare], layout=line),
                w.HBox([w.VBox([*between, *self.sliders.values()]), w.VBox(local)], layout=line),
                w.HBox([undo, reset, self._name, keep, recall, export], layout=line),
            ]
        )

    def _moved(self, _: Any) -> None:
        if not self._following:
            self._accept(self._read())

    def _read(self) -> Setting:
        (left, right), (top, bottom) = self._across.value, self._down.value
        first, last = self._frames.value
        everywhere = (left, top, right, bottom) == (0, 0, 1, 1) or left >= right or top >= bottom
        return Setting(
            strengths=tuple((name, round(s.value, 3)) for name, s in self.sliders.items() if abs(s.value) > 1e-6),
            position=round(self._position.value, 3),
            path=str(self._path.value),
            profile=str(self._profile.value),
            box=None if everywhere else (left, top, right, bottom),
            frames=None if (first, last) == (0, self.clip.shape[2] - 1) else (first, last),
        )

    def _accept(self, setting: Setting) -> None:
        if setting != self.setting:
            self._past.append(self.setting)
            self.setting = setting
            self._worker.ask(setting)

    def _show(self, setting: Setting, view: View, last: bool) -> None:
        self._view = view
        self._render()
        state = "" if last else " <i>(preview)</i>"
        figures = " &nbsp; ".join(f"{escape(name)} <b>{value:.2f}</b>" for name, value in view.figures.items())
        self._said.value = figures + state

    def _fail(self, setting: Setting, error: Exception) -> None:
        self._said.value = f'<span style="color:#b00020">{escape(f"{type(error).__name__}: {error}")}</span>'

    def _render(self) -> None:
        self._frame.disabled = self._playing.value
        self._screen.value = self._films()

    def _films(self) -> str:
        if self._view is None:
            return ""
        edited, source = self._view.video, self.clip.float().cpu()
        films = [] if self._compare.value == "edit alone" else [("source", source)]
        films.append(("edited", edited))
        if self._compare.value == "with the difference" and edited.shape == source.shape:
            films.append(("difference x 4, grey is none", (2 * (edited - source)).clamp(-1, 1)))
        frame = None if self._playing.value else self._frame.value
        options = {"width": self.width, "fps": self.fps, "frame": frame}
        return "".join(film(v, title=t, key=f"{self._key}{i}", **options) for i, (t, v) in enumerate(films))

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = dict(self.widget._repr_mimebundle_(**options) or {})
        self.wait(30)
        return {**bundle, "text/html": self._films()}  # what a page without a kernel shows

    # What a script may ask

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the picture is that of the sliders; False when it took longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    @property
    def video(self) -> Video:
        """The clip on the screen."""
        if self._view is None:
            raise RuntimeError("nothing is drawn yet; call wait() first")
        return self._view.video

    def set(self, setting: Setting) -> None:
        """Moves everything to a setting."""
        unknown = {name for name, _ in setting.strengths} - set(self.directions)
        if unknown:
            raise KeyError(f"no direction {', '.join(sorted(unknown))}; there are {', '.join(self.directions)}")
        self._accept(setting)
        self._follow(setting)

    def _follow(self, setting: Setting) -> None:
        strengths = dict(setting.strengths)
        left, top, right, bottom = setting.box or (0.0, 0.0, 1.0, 1.0)
        self._following = True
        try:
            for name, slider in self.sliders.items():
                slider.value = strengths.get(name, 0.0)
            self._position.value, self._path.value = setting.position, setting.path
            self._profile.value = setting.profile
            self._frames.value = setting.frames or (0, self.clip.shape[2] - 1)
            self._across.value, self._down.value = (left, right), (top, bottom)
        finally:
            self._following = False

    def undo(self) -> None:
        """Back to the setting before this one."""
        if self._past:
            self.setting = self._past.pop()
            self._follow(self.setting)
            self._worker.ask(self.setting)

    def keep(self, name: str) -> None:
        """Names the setting at hand."""
        self.presets[name] = self.setting
        self._name.options = tuple(self.presets)

    def recall(self, name: str) -> None:
        """Goes to a named setting."""
        if name not in self.presets:
            raise KeyError(f"no preset {name!r}; there are {', '.join(self.presets) or 'none yet'}")
        self.set(self.presets[name])

    def recipe(self) -> dict[str, Any]:
        """The setting, with what is needed to draw it again: the clip's hash, the space, the weights."""
        generator = getattr(self.space, "generator", None)
        return {
            "setting": self.setting.to_dict(),
            "directions": list(self.directions),
            "space": type(self.space).__name__,
            "weights": generator.fingerprint() if generator is not None else None,
            "clip": frame_hash(self.clip),
        }

    def export(self, path: str | Path) -> None:
        """Writes the recipe as JSON."""
        write_text(Path(path), json.dumps(self.recipe(), indent=2))

    def load(self, path: str | Path) -> None:
        """Goes to the setting of a recipe; one of another clip or other weights is refused."""
        written, mine = json.loads(Path(path).read_text(encoding="utf-8")), self.recipe()
        for name in ("clip", "weights", "space"):
            if written.get(name) != mine[name]:
                raise ValueError(f"this recipe is of another {name}: {written.get(name)} instead of {mine[name]}")
        self.set(Setting.from_dict(written["setting"]))

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _named(self, act: Callable[[str], None]) -> None:
        try:
            if not self._name.value.strip():
                raise ValueError("give a name first")
            act(self._name.value.strip())
        except Exception as error:  # a button has nobody to raise to
            self._fail(self.setting, error)
