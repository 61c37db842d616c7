"""Two clips and three buttons: pairwise comparison by eye, in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from latentlab.preference.ratings import ANSWERS, Rating, read_rating_table, schedule, write_rating_table
from latentlab.shapes import Video
from latentlab.store import digest
from latentlab.view.film import film, still_page


class Compare:
    """Asks a person which of two clips is better, pair by pair; no name is shown.

    The table is written after every answer. Whoever comes back under the same name to the same pairs goes on where
    they stopped; other pairs, such as those of `next_pairs`, begin a session of their own in the same table.

    Args:
        clips: what is compared, by name, each `(1, 3, frame, height, width)`.
        path: of the table, CSV; other raters' answers in it are kept.
        rater: who answers; decides the order with `seed`.
        question: above the clips.
        pairs: to show; default a balanced schedule of all.
        rounds: of the default schedule.
        seed: of the default schedule.
        session: names the schedule; default a name made of its pairs. The same pairs asked again need another name.
        fps, width: of the clips.

    Attributes:
        ratings: of all raters, for `latentlab.preference.bradley_terry.fit`.
        widget: what the notebook shows.

    Raises:
        ValueError: pairs of unknown clips.
    """

    def __init__(
        self,
        clips: Mapping[str, Video],
        path: str | Path,
        *,
        rater: str,
        question: str = "Which clip looks better?",
        pairs: Sequence[tuple[str, str]] | None = None,
        rounds: int = 1,
        seed: int = 0,
        session: str | None = None,
        fps: float = 8.0,
        width: int = 256,
    ) -> None:
        import ipywidgets as w

        self.clips, self.path, self.rater = dict(clips), Path(path), rater
        own = sum(ord(letter) * 31**i for i, letter in enumerate(rater)) % 2**31  # hash() differs from run to run
        self.pairs = schedule(list(clips), rounds=rounds, seed=seed + own) if pairs is None else list(pairs)
        self.session = digest(repr(self.pairs))[:8] if session is None else session
        if unknown := {name for pair in self.pairs for name in pair} - set(clips):
            raise ValueError(f"pairs of unknown clips {', '.join(sorted(unknown))}; there are {', '.join(clips)}")
        self.ratings = read_rating_table(path) if self.path.exists() else []
        self._films: dict[str, Any] = {"fps": fps, "width": width}
        self._asked, self._screen, self._progress = w.HTML(f"<b>{escape(question)}</b>"), w.HTML(), w.HTML()
        self.buttons = {
            answer: w.Button(description=text, layout=w.Layout(width="10em"))
            for answer, text in zip(ANSWERS, ("left", "right", "equal"), strict=True)
        }
        self.back = w.Button(description="back", icon="undo", tooltip="take the last answer back")
        for answer, button in self.buttons.items():
            button.on_click(lambda _, answer=answer: self.answer(answer))
        self.back.on_click(lambda _: self.take_back())
        order = [self.buttons[answer] for answer in ("left", "equal", "right")]
        flow = w.Layout(flex_flow="row wrap")
        buttons = w.HBox([*order, self.back], layout=flow)
        self.widget = w.VBox([self._asked, self._screen, buttons, self._progress])
        self._render()

    @property
    def done(self) -> int:
        """Pairs of this session that this rater has answered."""
        return len(self._mine())

    @property
    def pair(self) -> tuple[str, str] | None:
        """On the screen; None when all is done."""
        return self.pairs[self.done] if self.done < len(self.pairs) else None

    def answer(self, answer: str) -> None:
        """Notes "left", "right" or "equal", and shows the next pair."""
        if self.pair is None:
            raise ValueError("every pair has its answer")
        self.ratings.append(Rating(self.rater, *self.pair, answer, self.session))
        self._keep()

    def take_back(self) -> None:
        """Forgets this rater's last answer of this session."""
        if mine := self._mine():
            self.ratings.pop(mine[-1])
            self._keep()

    def _mine(self) -> list[int]:
        """Rows of this rater and session, in the order of the pairs."""
        now = (self.rater, self.session)
        return [i for i, rating in enumerate(self.ratings) if (rating.rater, rating.session) == now]

    def _keep(self) -> None:
        write_rating_table(self.path, self.ratings)
        self._render()

    def _render(self) -> None:
        self._progress.value = f"{self.done} of {len(self.pairs)}"
        for button in self.buttons.values():
            button.disabled = self.pair is None
        self.back.disabled = not self.done
        films = (
            film(clip, title=side, key=f"pair{id(self)}-{side}", **self._films) for side, clip in self._shown().items()
        )
        self._screen.value = "".join(films) or "<p>That was the last pair. Thank you.</p>"

    def _shown(self) -> dict[str, Video]:
        return {side: self.clips[name] for side, name in zip(("left", "right"), self.pair or (), strict=False)}

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The widget, and for pages without a kernel the question and the pair at hand."""
        shown = still_page(self._shown(), **self._films) if self.pair else self._screen.value
        page = f"<p>{self._asked.value}</p>{shown}<p>left, equal or right? {self._progress.value} pairs answered</p>"
        own = self.widget._repr_mimebundle_(**options)  # pyright: ignore[reportPrivateUsage]  # Jupyter's own name for it
        return {**(own or {}), "text/html": page}
