"""A contact sheet: the clips of a batch on one page, to be rated by clicks and keys, offline or to a server here."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from latentlab.checks import clear_errors
from latentlab.shapes import Video
from latentlab.video import data_uri
from latentlab.view.pages import render_page

LARGEST = 1_000_000  # bytes of an answer
HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True, eq=False)
class Card:
    """One clip.

    Args:
        name: by which its rating is known.
        video: `(1, 3, frame, height, width)`.
        caption: what was said.
        note: the rest of its setting.
        found: forbidden words that it shows.
        before: whether it was liked before; None where nobody said.
        fps: frames a second.
    """

    name: str
    video: Video
    caption: str
    note: str = ""
    found: Sequence[str] = ()
    before: bool | None = None
    fps: float = 8.0


@clear_errors
def contact_sheet(
    cards: Sequence[Card], *, title: str, batch: int = 0, notes: Sequence[str] = (), next: str = "", post: bool = False
) -> str:
    """The page as HTML. It makes no request; served by `Served` it hands each rating over, else it offers a table.

    Args:
        cards: the clips.
        title: of the page.
        batch: its number.
        notes: what is known so far, a line each.
        next: the command that takes the ratings.
        post: whether a server is there to take them.

    >>> import torch
    >>> page = contact_sheet([Card("000", torch.zeros(1, 3, 4, 16, 16), "a red star")], title="Batch 1")
    >>> page.count("<article"), "http:" in page
    (1, False)
    """
    shown = [
        {
            "name": card.name,
            "uri": data_uri(card.video, card.fps, scale=2),
            "caption": card.caption,
            "note": card.note,
            "found": ", ".join(card.found),
            "before": "" if card.before is None else int(card.before),
        }
        for card in cards
    ]
    return render_page("contact.html", cards=shown, title=title, batch=batch, notes=list(notes), next=next, post=post)


class Served:
    """A contact sheet at an address of this machine, which takes ratings; for nobody but this machine.

    Args:
        page: the HTML of now.
        rate: takes ratings by name; raises ValueError for what is none.
        state: number of the batch of now, and "end" where there will be no other.
        port: 0 is a free one.
    """

    def __init__(
        self,
        page: Callable[[], str],
        rate: Callable[[Mapping[str, bool]], None],
        state: Callable[[], Mapping[str, Any]],
        *,
        port: int = 0,
    ) -> None:
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self._ours():
                    return
                if self.path == "/":
                    self._answer(200, page(), "text/html; charset=utf-8")
                elif self.path == "/state":
                    self._answer(200, json.dumps(state()), "application/json")
                else:
                    self._answer(404, "no such page\n", "text/plain")

            def do_POST(self) -> None:
                # A page of elsewhere can send forms, not JSON: that asks for leave first, which nobody gives.
                if not self._ours():
                    return
                length = self.headers.get("content-length", "")
                json_sent = self.headers.get("content-type", "").split(";")[0] == "application/json"
                if self.path != "/ratings" or not json_sent or not length.isdigit() or int(length) > LARGEST:
                    self._answer(400, "ratings are JSON: names and 1 or 0\n", "text/plain")
                    return
                try:
                    given = json.loads(self.rfile.read(int(length)))
                    if not isinstance(given, dict) or any(
                        type(v) is not int or v not in (0, 1) for v in given.values()
                    ):
                        raise ValueError("ratings are names and 1 or 0")
                    with lock:
                        rate({name: bool(liked) for name, liked in given.items()})
                except ValueError as error:
                    self._answer(400, f"{error}\n", "text/plain")
                    return
                self._answer(200, "{}", "application/json")

            def _ours(self) -> bool:
                """Whether the page was asked for by an address of this machine, and not by a name that leads here."""
                host = self.headers.get("host", "").rsplit(":", 1)[0]
                if host not in HOSTS:
                    self._answer(403, "this page is for this machine\n", "text/plain")
                return host in HOSTS

            def _answer(self, code: int, text: str, kind: str) -> None:
                body = text.encode()
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.send_header("cache-control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> Served:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
