"""A JupyterLab of one notebook, started for a test: free port, token, temporary folders, nothing asked of the net."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

QUIET = {  # settings: no question about news, none about the kernel
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# Cells that are run before the kernel answers make Lab ask which kernel is meant.
READY = "[...window.jupyterapp?.shell?.widgets('main') ?? []][0]?.sessionContext?.session?.kernel?.status == 'idle'"
RUN = "jupyterapp.commands.execute('notebook:run-all-cells') && true"


class Lab:
    """A server in a folder of its own; `address` is the notebook alone, without side bars."""

    def __init__(self, cells: Sequence[str], *, theme: str = "JupyterLab Light") -> None:
        import nbformat

        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        (root / "work").mkdir()
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, root / "work" / "book.ipynb")
        settings: dict[str, Any] = {**QUIET, "@jupyterlab/apputils-extension/themes": {"theme": theme}}
        for name, values in settings.items():
            path = root / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        token = secrets.token_hex(16)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
        command += [f"--ServerApp.root_dir={root / 'work'}", "--LabApp.expose_app_in_browser=True"]
        command += ["--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False"]
        places = {f"JUPYTER_{kind}_DIR": str(root / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        places |= {"JUPYTERLAB_SETTINGS_DIR": str(root / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(root / "spaces")}
        places |= {"IPYTHONDIR": str(root / "ipython"), "OMP_NUM_THREADS": "1"}
        self._log = (root / "log").open("w+")
        self.process = subprocess.Popen(
            command, env={**os.environ, **places}, stdout=self._log, stderr=self._log, cwd=root, start_new_session=True
        )
        server = f"http://127.0.0.1:{port}"
        self.address = f"{server}/doc/tree/book.ipynb?token={token}"
        self._wait(f"{server}/api/status?token={token}")

    def _wait(self, address: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self._log.seek(0)
        text = self._log.read()
        self.close()
        raise RuntimeError(f"JupyterLab did not start: {text[-2000:]}")

    def close(self) -> None:
        """Ends the server and, with it, its kernels."""
        self.process.terminate()  # asked politely it shuts its kernels down
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()
        self._folder.cleanup()
