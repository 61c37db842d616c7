"""A headless Chromium, driven through two pipes by its own protocol: what a person would do to a page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ("--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--hide-scrollbars", "--no-first-run")


class Browser:
    """One page; `errors` holds what its console complained about."""

    def __init__(self, width: int = 900, height: int = 600) -> None:
        assert BINARY is not None
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        told, self._write = os.pipe()
        self._read, telling = os.pipe()
        # Chromium reads at 3 and writes at 4; a shell puts the pipes there
        line = f"exec {BINARY} {' '.join(OPTIONS)} --remote-debugging-pipe --user-data-dir={self.folder.name}"
        line += f" --window-size={width},{height} about:blank 3<&{told} 4>&{telling}"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["bash", "-c", line], pass_fds=(told, telling), **quiet)
        os.close(told)
        os.close(telling)
        self._buffer, self._last, self._session = b"", 0, None
        self.errors: list[str] = []
        targets = self("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self(f"{domain}.enable")
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(
        self,
        page: Path | str,
        ready: str = "document.readyState === 'complete'",
        fragment: str = "",
        tries: int = 200,
    ) -> None:
        """Opens a file or an address and waits until an expression holds."""
        self("Page.navigate", url="about:blank")  # else a fragment alone would not load anything
        self("Page.navigate", url=(page.as_uri() if isinstance(page, Path) else page) + fragment)
        self.wait(ready, tries)

    def run(self, expression: str) -> Any:
        """What a JavaScript expression is worth."""
        answer = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression: str, tries: int = 200) -> None:
        """Waits until an expression holds, up to some twenty seconds."""
        for _ in range(tries):
            if self.run(f"Boolean({expression})"):
                return
            self.run("new Promise((done) => setTimeout(done, 100))")
        raise TimeoutError(f"{expression} does not come true; console: {self.errors}")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """kind: Moved, Pressed, Released or Wheel."""
        self("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def drag(self, places: list[tuple[float, float]], **more: Any) -> None:
        """Presses at the first place, moves over the others, lets go at the last."""
        self.mouse("Pressed", *places[0], button="left", clickCount=1, **more)
        for place in places[1:]:
            self.mouse("Moved", *place, button="left", buttons=1, **more)
        self.mouse("Released", *places[-1], button="left", clickCount=1, **more)

    def close(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(30)
        os.close(self._write)
        os.close(self._read)
        self.folder.cleanup()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError("the browser has gone")
            self._buffer += part
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        found = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(found["exceptionDetails"]))
        if message.get("method") == "Runtime.consoleAPICalled" and found["type"] == "error":
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in found["args"]))
        if message.get("method") == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.errors.append(found["entry"]["text"])
        return message
