"""The page behind `latentlab paint`: served to this machine alone, at an address that nobody guesses."""

from __future__ import annotations

import io
import json
import secrets
import tempfile
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from PIL import Image

from latentlab.record import to_json
from latentlab.shapes import Video
from latentlab.video import write
from latentlab.view.pages import render_page
from latentlab.view.painting.session import Session, mask_tensor

HOST = "127.0.0.1"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that is not answered, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Server(ThreadingHTTPServer):
    """The page of one session, on 127.0.0.1.

    Whoever asks must know the address, which holds a random word, and must call this server by its own name: another
    page in the same browser knows neither the word nor, where a name of its own leads here, the right name.

    Args:
        session: that the page shows.
        port: 0 is any that is free.

    >>> import latentlab as ll
    >>> server = Server(Session(ll.data.moving_shapes(1, seed=0)[0]))
    >>> server.address.startswith("http://127.0.0.1:")
    True
    >>> server.server_close()
    """

    def __init__(self, session: Session, port: int = 0) -> None:
        super().__init__((HOST, port), _Handler)
        self.session, self.token = session, secrets.token_urlsafe(24)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which it may be called."""
        return tuple(f"{name}:{self.server_port}" for name in (HOST, "localhost"))

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://{self.names[0]}/{self.token}/"

    def server_close(self) -> None:
        """Ends the work under way, then the server."""
        self.session.cancel()
        self.session.wait()
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection stays open for the next frame
    server: Server

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def _answered(self, act: Any) -> None:
        try:
            path, asked = self._allowed()
            act(path, asked)
        except Refused as refused:
            self._send(str(refused).encode(), "text/plain; charset=utf-8", status=refused.status)
        except (ValueError, KeyError) as error:
            said = error.args[0] if isinstance(error, KeyError) else str(error)
            status = HTTPStatus.NOT_FOUND if isinstance(error, KeyError) else HTTPStatus.BAD_REQUEST
            self._send(str(said).encode(), "text/plain; charset=utf-8", status=status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has gone

    def _allowed(self) -> tuple[str, dict[str, str]]:
        """The path below the token and what follows it, of a request that may be answered."""
        names = self.server.names
        if self.headers.get("Host") not in names:
            raise Refused(HTTPStatus.FORBIDDEN, f"this server is called {' or '.join(names)}")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{name}" for name in names}:
            raise Refused(HTTPStatus.FORBIDDEN, f"pages of {origin} have no business here")
        split = urlsplit(self.path)
        _, token, *rest = split.path.split("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "open the address that `latentlab paint` printed, word by word")
        return "/".join(rest), dict(parse_qsl(split.query, keep_blank_values=True))

    def _get(self, path: str, asked: dict[str, str]) -> None:
        del asked
        session = self.server.session
        if path == "":
            facts = session.facts()
            self._send(render_page("paint.html", facts=facts, data=facts).encode(), "text/html; charset=utf-8")
        elif path == "job":
            self._json(asdict(session.job))
        elif path == "mask.bin" and session.masks is not None:
            self._send(session.masks.tobytes(), "application/octet-stream")
        elif path.startswith("frames/"):
            self._send(_png(session.frame(*_frame(path))), "image/png")
        elif path in ("result.mkv", "result.mp4") and session.filled is not None:
            self._file(path, session.filled.video.cpu())
        elif path == "record.json" and session.record is not None:
            self._send(to_json(asdict(session.record)).encode(), "application/json", name=path)
        else:
            raise KeyError(f"there is no {path!r} here, or not yet")

    def _post(self, path: str, asked: dict[str, str]) -> None:
        session = self.server.session
        if path == "cancel":
            session.cancel()
            self._json(asdict(session.job))
            return
        masks = self._masks()
        if path == "run":
            session.run(masks, asked.pop("caption", ""), asked)
            self._json(asdict(session.job))
        elif path == "propagate":
            session.propagate(masks, [int(k) for k in asked.get("painted", "").split(",") if k])
            self._json(asdict(session.job))
        elif path == "mask.mkv":
            self._file(path, mask_tensor(masks).expand(-1, 3, -1, -1, -1) * 2 - 1)
        else:
            raise KeyError(f"there is no {path!r} here")

    def _masks(self) -> np.ndarray:
        """What was painted: a byte a pixel, frame after frame."""
        shape, given = self.server.session.shape, self.headers.get("Content-Length", "")
        wanted = int(np.prod(shape))
        if given != str(wanted):
            self.close_connection = True  # the rest is not read
            frames, height, width = shape
            raise ValueError(
                f"the mask has {given or 'no number of'} bytes, and the clip {frames} frames of {width} x {height} "
                f"pixels, a byte each, {wanted} together"
            )
        return np.frombuffer(self.rfile.read(wanted), np.uint8).reshape(shape)

    def _file(self, name: str, clip: Video) -> None:
        """A clip as a file to keep."""
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / name, clip, fps=self.server.session.fps)
            self._send((Path(folder) / name).read_bytes(), "application/octet-stream", name=name)

    def _json(self, what: Any) -> None:
        self._send(json.dumps(what).encode(), "application/json")

    def _send(self, body: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK, name: str = "") -> None:
        if status != HTTPStatus.OK and self.command == "POST":
            self.close_connection = True  # a body may be left unread
        self.send_response(status)
        for key, value in HEADERS.items():
            self.send_header(key, value)
        if name:
            self.send_header("Content-Disposition", f'attachment; filename="{name}"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: libraries do not print."""


def _frame(path: str) -> tuple[str, int]:
    """Kind and number of `frames/KIND/NUMBER.png`."""
    _, kind, last = [*path.split("/"), "", ""][:3]
    number = last.removesuffix(".png")
    if not number.isdecimal():
        raise KeyError(f"there is no {path!r} here")
    return kind, int(number)


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "png", compress_level=1)
    return file.getvalue()
