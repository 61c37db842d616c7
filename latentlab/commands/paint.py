"""The command that opens a page to paint on."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path

from latentlab.asked import Asked
from latentlab.commands.loading import led_away, loaded
from latentlab.commands.result import emit, fitted, say
from latentlab.study.fidelity import fidelity
from latentlab.video import check_target, read
from latentlab.view.painting import Server, Session, gradio_app

SHIPPED = (
    "The shipped model draws one moving shape before a plain ground, in the words below. It fills holes in such clips, "
    'and takes the object away where the caption names the ground alone, as "on a blue background". For real clips '
    "give another model, by --model."
)


def paint_command(video: str, *, caption, masks, gradio, port, opens, out, device, json, model: Asked) -> None:
    """A page on this machine to paint masks on, until it is interrupted."""
    if out is not None:
        check_target(out)
    target, name = None if out is None else Path(out), Path(video).name
    if masks:
        clip = read(video)
        note = (clip.note,) if clip.note else ()
        session = Session(clip.video, name=name, fps=clip.fps, notes=note)
    else:
        generator = led_away(loaded(model, device=device), model)
        frames, note, fps = fitted(video, generator)
        warnings = [SHIPPED] if model.folder is None else []
        if warning := fidelity(generator, frames).warning:
            warnings.append(warning)
        notes = (note,) if note else ()
        session = Session(frames, generator, name, fps, caption, notes, tuple(warnings), target)
    if gradio:
        say("painting in gradio until Ctrl-C")
        gradio_app(session).launch(server_name="127.0.0.1", server_port=port or None, inbrowser=opens, quiet=json)
        return
    with Server(session, port) as server:
        emit({"address": server.address}, json, [f"painting at {server.address} until Ctrl-C"])
        if opens:
            webbrowser.open(server.address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
