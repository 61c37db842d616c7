"""The explorer: sliders over a latent space, in a notebook.

The picture follows the sliders without ever queueing: one worker computes the latest setting, a coarse preview first
where the space has one, and keeps what it has drawn.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from latentlab.shapes import Codes, Video
from latentlab.spaces.space import Space
from latentlab.view import recipe_file
from latentlab.view.controls import Controls, Reach
from latentlab.view.drawing import Drawing, NamedMoves, View
from latentlab.view.film import film, still_page
from latentlab.view.pages import render_page
from latentlab.view.setting import ExplorerState
from latentlab.view.worker import LatestWins

REACH = 3.0  # standard deviations, where no usable range is known
ONE_MOVE = 0.7  # seconds; what follows sooner on a change of the same kind is undone with it
KEPT = 256 * 2**20  # bytes of drawn clips that are kept
ALERT = "background:#b3261e;color:#fff;padding:2px 6px;border-radius:4px"  # 6.5 : 1, whatever the theme


class Explorer:
    """Sliders, clips side by side, figures. Show it by naming it at the end of a cell; see `explore`."""

    def __init__(
        self,
        space: Space,
        directions: NamedMoves,
        clip: Video,
        other: Video | None = None,
        *,
        preview: Callable[[Codes], Video] | None = None,
        limits: Mapping[str, Reach] | None = None,
        caption: str = "",
        seed: int = 0,
        fps: float = 8.0,
        width: int = 224,
    ) -> None:
        for name, given in (("clip", clip), ("other", other)):
            if given is not None and (given.ndim != 5 or len(given) != 1):
                raise ValueError(f"{name} must be one clip (1, 3, frame, height, width), got {tuple(given.shape)}")
        try:
            import ipywidgets
        except ImportError as error:
            raise ImportError("the explorer needs ipywidgets; pip install 'latentlab[notebook]'") from error
        self.drawing = Drawing(space, directions, clip, other)
        if unknown := set(limits or {}) - set(self.drawing.directions):
            raise ValueError(f"limits of unknown directions {', '.join(sorted(unknown))}")
        self.fps, self.width = fps, width
        self.setting = ExplorerState()
        self.presets: OrderedDict[str, ExplorerState] = OrderedDict()
        self._past: list[ExplorerState] = []
        self._changed: tuple[Any, float] = (None, 0.0)  # what moved last, and when
        self._view: View | None = None
        self._undrawn: tuple[ExplorerState, Exception] | None = None  # the setting that failed last, and why
        self._began = time.monotonic()
        self._following = False  # while widgets are moved by us and not by a person
        reach = {name: (limits or {}).get(name, (-REACH, REACH)) for name in self.drawing.directions}
        self.controls = Controls(
            reach, clip.shape[2], local=self.drawing.space.grid is not None, between=other is not None,
            caption=caption if self.drawing.generator is not None else None, seed=seed,
        )  # fmt: skip
        self._screen, self._said, self._words = ipywidgets.HTML(), ipywidgets.HTML("<i>drawing ...</i>"), ""
        self.widget = ipywidgets.VBox([self._screen, self._said, self.controls.widget])
        self._connect()
        decoders = [*([preview] if preview else []), None]
        stages = [lambda setting, d=d: self.drawing.draw(setting, d) for d in decoders]
        self._worker = LatestWins(stages, self._show, self._failed, keep=KEPT, size=lambda view: view.nbytes)
        self.widget.observe(lambda change: self.close() if change["new"] is None else None, "comm")
        with self._by_us():
            self.controls.follow(self.setting)
        self._worker.ask(self.setting)

    def __repr__(self) -> str:
        return f"Explorer of {self.drawing.space!r} along {', '.join(self.drawing.directions)}"

    @property
    def sliders(self) -> dict[str, Any]:
        """Of strengths, by direction."""
        return self.controls.strengths

    # What a person does

    def _connect(self) -> None:
        controls = self.controls
        controls.listen(self._moved, self._looked)
        acts: dict[str, Callable[[], Any]] = {
            "undo": self.undo,
            "reset": lambda: self.set(ExplorerState()),
            "key this frame": self.key,
            "remove key": lambda: self.set(self.setting.unkeyed(controls.frame.value)),
            "wipe paint": lambda: self.set(self.setting.moved(painted=())),
            "draw clip": lambda: self.set(self.setting.moved(caption=controls.caption.value, seed=controls.seed.value)),
            "own clip": lambda: self.set(self.setting.moved(caption=None, seed=0)),
            "keep": lambda: self.keep(self._name()),
            "recall": lambda: self.recall(self._name()),
            "export recipe": lambda: self.export(
                self._name() + (recipe_file.REPLAYED if self.drawing.replayable else ".json")
            ),
        }
        for name, act in acts.items():
            controls.buttons[name].on_click(lambda _, act=act: self._press(act))

    def _press(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # a button has nobody to raise to
            self._alert(error)

    def _name(self) -> str:
        if not (name := self.controls.name.value.strip()):
            raise ValueError("give a name first")
        return name

    def _moved(self, _: Any) -> None:
        if not self._following:
            self._accept(self.controls.read(self.setting))

    def _looked(self, change: Any) -> None:
        if change["owner"] is self.controls.frame and not self._following:
            with self._by_us():  # whoever scrubs wants to see that frame, and the strengths there
                self.controls.playing.value = False
                self.controls.follow(self.setting)
        self._render()

    @contextmanager
    def _by_us(self):
        self._following = True
        try:
            yield
        finally:
            self._following = False

    def _accept(self, setting: ExplorerState) -> None:
        if setting == self.setting:
            return
        what = tuple(k for k, v in vars(setting).items() if v != getattr(self.setting, k))
        what += tuple(sorted({name for name, _ in set(setting.strengths) ^ set(self.setting.strengths)}))
        now = time.monotonic()
        if what != self._changed[0] or now - self._changed[1] > ONE_MOVE:
            self._past.append(self.setting)
        self._changed = what, now
        self.setting = setting
        self._worker.ask(setting)

    # What a person sees

    def _show(self, setting: ExplorerState, view: View, last: bool) -> None:
        self._view, self._undrawn = view, None
        self._render()
        figures = {name: _number(value) for name, value in view.figures.items()}
        how = {"warning": view.warning, "account": view.account, "preview": not last, "alert": ALERT}
        self._say(render_page("said.html", figures=figures, **how))

    def _failed(self, setting: ExplorerState, error: Exception) -> None:
        self._undrawn = setting, error
        self._alert(error)

    def _alert(self, error: Exception) -> None:
        self._say(f'<span role="alert" style="{ALERT}">{escape(_words(error))}</span>')

    def _say(self, words: str) -> None:
        """Under the clips, with room between the lines; a snapshot has the words alone (sanitizers drop styles)."""
        self._words = words
        self._said.value = f'<div style="line-height: 1.6">{words}</div>'

    def _render(self) -> None:
        if self._view is None:
            return
        frame = None if self.controls.playing.value else self.controls.frame.value
        options = {"width": self.width, "fps": self.fps, "frame": frame, "age": time.monotonic() - self._began}
        shown = self._clips(self._view).items()
        self._screen.value = "".join(
            film(clip, title=title, key=f"film{id(self)}-{i}", **options) for i, (title, clip) in enumerate(shown)
        )
        self.controls.paint_over(self._view.unedited)

    def _clips(self, view: View) -> dict[str, Video]:
        how = self.controls.show.value
        clips = {} if how == "edit alone" else {"unedited": view.unedited}
        clips["edited"] = view.video
        if how == "with the source":
            clips = {"source": view.source.float().cpu(), **clips}
        if how == "with the difference":
            clips["difference x 2, grey is none"] = (2 * (view.video - view.unedited)).clamp(-1, 1)
        return clips

    def snapshot(self) -> str:
        """HTML of what is on the screen, for pages without a kernel; waits for it."""
        self.wait(60)
        if self._view is None:
            return ""
        return still_page(self._clips(self._view), width=self.width, fps=self.fps) + f"<p>{self._words}</p>"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        alive = self.widget._repr_mimebundle_  # None once it is closed
        return {**((alive and alive(**options)) or {}), "text/html": self.snapshot()}

    # What a script may ask

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the picture is that of the sliders; False when it took longer than `timeout` seconds."""
        return self._worker.wait(timeout)

    @property
    def view(self) -> View:
        """What is on the screen, with its figures.

        Raises:
            RuntimeError: the setting at hand could not be drawn, or nothing has been drawn yet.
        """
        if self._undrawn and self._undrawn[0] == self.setting:
            raise RuntimeError(f"this setting could not be drawn; {_words(self._undrawn[1])}") from self._undrawn[1]
        if self._view is None:
            raise RuntimeError("nothing is drawn yet; call wait() first")
        return self._view

    @property
    def video(self) -> Video:
        """The clip on the screen."""
        return self.view.video

    @property
    def clip(self) -> Video:
        """What it was made of."""
        return self.drawing.source(self.setting).clip

    def set(self, setting: ExplorerState) -> None:
        """Moves everything to a setting."""
        self.drawing.check(setting)
        self._changed = None, 0.0
        self._accept(setting)
        with self._by_us():
            self.controls.follow(setting)

    def key(self) -> None:
        """Makes the strengths of the sliders those of the frame at hand."""
        self.set(self.setting.keyed(self.controls.frame.value, self.controls.read_strengths()))

    def undo(self) -> None:
        """Back to the setting before this one; a slider drawn along is one move."""
        if self._past:
            self.setting, self._changed = self._past.pop(), (None, 0.0)
            with self._by_us():
                self.controls.follow(self.setting)
            self._worker.ask(self.setting)

    def keep(self, name: str) -> None:
        """Names the setting at hand."""
        self.presets[name] = self.setting
        self.controls.name.options = tuple(self.presets)

    def recall(self, name: str) -> None:
        """Goes to a named setting."""
        if name not in self.presets:
            raise KeyError(f"no preset {name!r}; there are {', '.join(self.presets) or 'none yet'}")
        self.set(self.presets[name])

    def recipe(self) -> dict[str, Any]:
        """State and presets, with the hashes of all that they are drawn from: clips, space, weights, directions."""
        return recipe_file.recipe(self.drawing, self.setting, self.presets)

    def export(self, path: str | Path) -> None:
        """Writes what makes these frames again.

        Args:
            path: .safetensors, what `latentlab.study.recipe.Recipe.load` reads and replays on the clip, without an
                explorer; or .json, what `load` reads, with the presets.

        Raises:
            ValueError: another ending, or a direction that no recipe holds.
        """
        recipe_file.write_explorer(path, self.drawing, self.setting, self.presets)
        self._say(f"written to {escape(str(path))}")

    def load(self, path: str | Path) -> None:
        """Goes to the setting of a .json file, and takes its presets.

        Raises:
            ValueError: it was made with another clip, space, model or direction; the message names what differs.
        """
        setting, presets = recipe_file.read_explorer(path, self.drawing)
        self.presets.update(presets)
        self.controls.name.options = tuple(self.presets)
        self.set(setting)

    def close(self) -> None:
        """Forgets what was drawn and takes the widgets away; closing the widget does so, too."""
        self._worker.close()
        _close(self.widget)


def _words(error: Exception) -> str:
    """What a person reads: of mistakes in what they asked for, the message alone."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return str(text) if isinstance(error, KeyError | ValueError) else f"{type(error).__name__}: {text}"


def _close(widget: Any) -> None:
    import ipywidgets

    for child in widget.children if isinstance(widget, ipywidgets.Box) else ():
        _close(child)
    widget.close()


def _number(value: float) -> str:
    return "not measured" if math.isnan(value) else "equal" if math.isinf(value) else f"{value:.2f}"
