"""The front in gradio: the canvas is the one of the page, and what is filled is what `inpaint` fills."""

import base64
import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from latentlab.video import read
from latentlab.view.painting.app import _script, gradio_app
from latentlab.view.painting.session import Session


def test_the_script_is_a_function_body_that_a_browser_reads(tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    file = tmp_path / "canvas.js"
    file.write_text(f"function load(element, trigger, props, server, upload, watch) {{\n{_script()}\n}}\n")
    assert "class Easel" in _script()
    subprocess.run(["node", "--check", str(file)], check=True, capture_output=True)


def clip() -> torch.Tensor:
    return torch.randint(256, (1, 3, 4, 16, 16), generator=torch.Generator().manual_seed(0)) / 127.5 - 1


def painted(*frames: int) -> str:
    masks = np.zeros((4, 16, 16), np.uint8)
    masks[list(frames), 4:8, 4:8] = 255
    return base64.b64encode(masks.tobytes()).decode()


def functions(app) -> dict:
    return {found.api_name: found.fn for found in app.fns.values()}


def test_a_mask_is_filled_and_carried():
    pytest.importorskip("gradio", reason="gradio, the extra latentlab[app], is not installed")
    import gradio

    session = Session(clip(), tiny.generator(), caption="a red star")
    acts = functions(gradio_app(session))
    video, lossless, said = acts["fill"](painted(0, 1), "a red star", 0, 1)
    assert said.startswith("filled")
    assert video.endswith(".mp4")
    kept = read(lossless).video
    outside = (session.filled.region == 0).expand_as(kept)
    torch.testing.assert_close(kept[outside], clip()[outside], atol=1 / 255, rtol=0)

    masks, said = acts["carry"](painted(0))
    assert "carried to 3 frames more" in said
    assert np.frombuffer(base64.b64decode(masks), np.uint8).reshape(4, 16, 16)[3].any()
    for asked, says in ((("", "", 0, 1), "nothing is painted"), ((painted(0), "a purple star", 0, 1), "purple")):
        with pytest.raises(gradio.Error, match=says):
            acts["fill"](*asked)


def test_without_gradio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(ImportError, match=r"pip install 'latentlab\[app\]'"):
        gradio_app(Session(clip()))


def test_paint_by_mouse_in_the_page_that_gradio_serves(monkeypatch):
    pytest.importorskip("gradio", reason="gradio, the extra latentlab[app], is not installed")
    spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    if browser.BINARY is None:
        pytest.skip("no Chromium; Debian's package is `chromium`")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    session = Session(clip(), tiny.generator(), caption="a red star")
    app = gradio_app(session)
    _, address, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    shown = browser.Browser(1000, 1400)
    try:
        button = "[...document.querySelectorAll('button')].find((b) => b.textContent.trim() === 'Fill')"
        shown.open(address, f"document.querySelector('canvas[role=application]') && {button}", tries=600)
        x, y, width = shown.run(
            "(() => { const r = document.querySelector('canvas').getBoundingClientRect(); "
            "return [r.x, r.y, r.width]; })()"
        )
        shown.drag([(x + width * k / 16, y + width * 5.5 / 16) for k in (4.5, 5.5, 6.5)])
        shown.run(f"{button}.click()")
        shown.wait("[...document.querySelectorAll('textarea')].some((t) => t.value.startsWith('filled'))", tries=600)
    finally:
        shown.close()
        app.close()
    hole = session.filled.hole[0, 0]
    assert hole[0, 5, 5] == 1
    assert hole[1:].max() == 0
    outside = (session.filled.region == 0).expand_as(session.clip)
    assert torch.equal(session.filled.video.cpu()[outside], session.clip[outside])
