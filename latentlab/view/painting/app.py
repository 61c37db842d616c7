"""A front in gradio, the extra `app`: the canvas of `latentlab paint` in a page that gradio serves and may share."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from latentlab.checks import clear_errors
from latentlab.video import write
from latentlab.view.film import strip
from latentlab.view.pages import script
from latentlab.view.painting.session import Session

# The canvas takes its settings from a notebook's model; here they are properties of gradio's component, and masks its
# value, in base64. The template never changes, so that gradio leaves the canvas alone.
CANVAS = """
const bytes = (text) => Uint8Array.from(atob(text || ""), (letter) => letter.charCodeAt(0));
const text = (view) => {
  const all = new Uint8Array(view.buffer);
  let letters = "";
  for (let i = 0; i < all.length; i += 32768) letters += String.fromCharCode(...all.subarray(i, i + 32768));
  return btoa(letters);
};
let sent = null;
const model = {
  get: (name) => (name === "masks" ? new DataView(bytes(props.value).buffer) : props[name]),
  set: (name, view) => (sent = view),
  save_changes: () => (props.value = text(sent)),
  on: (event, act) => watch("value", act),
};
render({ model, el: element });
"""


@clear_errors
def gradio_app(session: Session) -> Any:
    """A page of gradio to paint a mask on a clip, carry it to all frames, and have it filled.

    Args:
        session: the clip, and the generator that fills it, if any.

    Returns:
        `gradio.Blocks`; `launch()` serves it.

    Raises:
        ImportError: gradio is not installed.

    >>> import latentlab as ll
    >>> app = gradio_app(Session(ll.data.moving_shapes(1, seed=0)[0]))  # doctest: +SKIP
    >>> app.launch()  # doctest: +SKIP
    """
    try:
        gradio: Any = import_module("gradio")
    except ImportError as error:
        raise ImportError("this page is made by gradio: pip install 'latentlab[app]'") from error
    folder = Path(tempfile.mkdtemp(prefix="latentlab-app-"))

    def masks(painted: str) -> np.ndarray:
        if not painted:
            raise gradio.Error("nothing is painted yet")
        return np.frombuffer(base64.b64decode(painted), np.uint8).reshape(session.shape)

    def ended() -> str:
        job = session.wait()
        if job.state != "done":
            raise gradio.Error(job.said)
        return "\n".join((job.said, *job.lines))

    def carry(painted: str) -> tuple[str, str]:
        given = masks(painted)
        with _told(gradio.Error):
            session.propagate(given, [k for k, frame in enumerate(given) if frame.any()])
        said = ended()
        carried = session.masks if session.masks is not None else given
        return base64.b64encode(carried.tobytes()).decode(), said

    def fill(painted: str, caption: str, seed: float, steps: float) -> tuple[str, str, str]:
        with _told(gradio.Error):
            session.run(masks(painted), caption, {"seed": str(int(seed)), "steps": str(int(steps))})
        said, filled = ended(), session.filled
        files = [folder / f"filled_{session.job.id}{suffix}" for suffix in (".mp4", ".mkv")]
        if filled is None:
            raise gradio.Error(said)
        for file in files:
            write(file, filled.video.cpu(), fps=session.fps)
        return str(files[0]), str(files[1]), said

    with gradio.Blocks(title=f"{session.name}: latentlab paint") as app:
        for line in (*session.notes, *session.warnings):
            gradio.Markdown(line)
        canvas = gradio.HTML(
            "", html_template="<div></div>", js_on_load=_script(), apply_default_css=False, shape=list(session.shape),
            pictures=[strip(session.clip[:, :, k : k + 1]) for k in range(session.shape[0])], size=512,
        )  # fmt: skip
        said = gradio.Textbox(label="What was done", interactive=False)
        gradio.Button("Carry to all frames").click(carry, [canvas], [canvas, said], api_name="carry")
        if session.generator is not None:
            caption = gradio.Textbox(session.caption, label="Caption: the whole clip, the hole included")
            with gradio.Row():
                seed, steps = gradio.Number(0, label="Seed", precision=0), gradio.Number(25, label="Steps", precision=0)
            shown, kept = gradio.Video(label="Filled"), gradio.File(label="Without loss")
            button = gradio.Button("Fill", variant="primary")
            button.click(fill, [canvas, caption, seed, steps], [shown, kept, said], api_name="fill")
    return app


def _script() -> str:
    return script("mask_brush.mjs").replace("export default { render };", "") + CANVAS


@contextmanager
def _told(error: type[Exception]) -> Iterator[None]:
    """What the session refuses, said by gradio."""
    try:
        yield
    except ValueError as refused:
        raise error(str(refused)) from refused
