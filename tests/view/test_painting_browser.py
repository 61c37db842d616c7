"""The page to paint on as a person meets it, in a headless Chromium: by mouse, by keys, by touch."""

import importlib.util
import io
import threading
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from latentlab.view.painting import Server, Session

spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)
pytestmark = pytest.mark.skipif(browser.BINARY is None, reason="no Chromium; Debian's package is `chromium`")

SIDE = 16  # pixels of the clip
MASK = "Array.from(paint.easel.masks[FRAME])"
IDLE = "!document.getElementById('run').disabled"
SAID = "document.getElementById('said').textContent"


@pytest.fixture(scope="module")
def served():
    levels = torch.randint(0, 256, (1, 3, 4, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    session = Session(levels / 127.5 - 1, tiny.generator(), caption="a star", notes=("fitted <b>so</b>",))
    with Server(session) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        shown = browser.Browser(1000, 900)
        shown.open(server.address, "document.body?.dataset.source === '0'")
        yield shown, session
        shown.close()
        server.shutdown()
        thread.join()


@pytest.fixture
def page(served):
    shown, _ = served
    shown.run("document.querySelector('[value=paint]').click(), paint.easel.wipe(), paint.show(0)")
    shown.run("paint.easel.radius = 1; paint.easel.at = [8.5, 8.5]; paint.easel.history.done = []")
    shown.errors.clear()
    yield shown
    assert shown.errors == []


def place(page, column: float, row: float) -> tuple[float, float]:
    """Where a place in the clip, pixels, is on the screen."""
    x, y, width, height = page.run(
        "(() => { const {x, y, width, height} = document.getElementById('easel').getBoundingClientRect(); "
        "return [x, y, width, height]; })()"
    )
    return x + width * column / SIDE, y + height * row / SIDE


def painted(page, frame: int = 0) -> set[tuple[int, int]]:
    """Columns and rows."""
    mask = np.array(page.run(MASK.replace("FRAME", str(frame)))).reshape(SIDE, SIDE)
    return {(int(j), int(i)) for i, j in zip(*mask.nonzero(), strict=True)}


def press(page, key: str, **more) -> None:
    for kind in ("keyDown", "keyUp"):
        page("Input.dispatchKeyEvent", type=kind, key=key, **more)


def filled(page) -> np.ndarray:
    page.run("document.querySelector('[name=steps]').value = 2, document.querySelector('[name=refine]').value = 2")
    page.run("['grow', 'feather'].forEach((name) => (document.querySelector(`[name=${name}]`).value = 1))")
    page.run("document.getElementById('run').click()")
    page.wait(IDLE, tries=600)


def test_paint_by_mouse_run_and_look(served, page):
    _, session = served
    page.drag([place(page, 2.5, 2.5), place(page, 4.5, 2.5)])
    assert {(2, 2), (3, 2), (4, 2), (2, 1), (2, 3)} <= painted(page)
    assert max(column for column, _ in painted(page)) == 5
    page.run("document.getElementById('copy').click()")
    assert painted(page, 3) == painted(page)
    filled(page)
    assert page.run(SAID) == "filled"
    outside = np.ones((SIDE, SIDE), bool)
    for column, row in painted(page):
        outside[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = False
    assert (session.result[:, outside] == session.source[:, outside]).all()
    assert (session.result[:, ~outside] != session.source[:, ~outside]).any()
    # what the page shows is what the session holds
    assert page.run("document.querySelector('[name=shown]:checked').value") == "after"
    shown = page.run(
        "(() => { const c = document.getElementById('easel'), k = c.width / 16; const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; return Array.from({length: 256}, (_, i) => { const at = 4 * "
        "((Math.floor(i / 16) * k + k / 2) * c.width + (i % 16) * k + k / 2); return [d[at], d[at + 1], d[at + 2]]; "
        "}); })()"
    )
    assert (np.array(shown).reshape(SIDE, SIDE, 3) == session.result[0]).all()
    assert page.run("fetch('result.mkv').then((answer) => answer.ok)")
    page.run("document.querySelector('[value=difference]').click()")
    corner = page.run("Array.from(document.getElementById('easel').getContext('2d').getImageData(500, 500, 1, 1).data)")
    assert corner[:3] == [0, 0, 0]


def test_paint_by_keys(page):
    page.run("document.getElementById('easel').focus(), paint.easel.radius = 0.5")
    for key in ("ArrowRight", "ArrowDown", " ", "ArrowLeft", "ArrowLeft", " "):
        press(page, key)
    assert painted(page) == {(9, 9), (7, 9)}
    press(page, "Delete")
    assert painted(page) == {(9, 9)}
    press(page, "z")
    assert painted(page) == {(9, 9), (7, 9)}
    press(page, "y")
    assert painted(page) == {(9, 9)}
    press(page, "+")
    press(page, " ")
    assert len(painted(page)) > 3
    assert page.run("document.getElementById('painted').textContent") == "painted on 1 of 4 frames"


def test_paint_by_touch_and_wipe(page):
    x, y = place(page, 5.5, 5.5)
    page("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    page("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x + 20, "y": y}])
    page("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert (5, 5) in painted(page)
    page.drag([place(page, 1, 5.5), place(page, 15, 5.5)], modifiers=8)  # shift wipes
    assert (5, 5) not in painted(page)


def test_the_tools(page):
    page.drag([place(page, 8.5, 8.5)])
    one = painted(page)
    for name, count in (
        ("grow", 21),
        ("shrink", len(one)),
        ("undo", 21),
        ("redo", len(one)),
        ("invert", 256 - len(one)),
    ):
        page.run(f"document.getElementById('{name}').click()")
        assert len(painted(page)) == count, name
    page.run("document.getElementById('wipe').click()")
    assert painted(page) == set()


def test_a_mask_is_carried(page):
    page.drag([place(page, 8.5, 8.5)])
    page.run("document.getElementById('propagate').click()")
    page.wait(IDLE, tries=600)
    assert page.run(SAID) == "carried to 3 frames more"
    assert painted(page, 3)
    page.run("paint.show(3)")  # what is mended by hand counts beside what was painted first
    page.drag([place(page, 2.5, 2.5)])
    mended = painted(page, 3)
    page.run("document.getElementById('propagate').click()")
    page.wait(IDLE, tries=600)
    assert page.run(SAID) == "carried to 2 frames more"
    assert painted(page, 3) == mended


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("", "the mask is empty"),
        ("paint.easel.press(false), document.getElementById('caption').value = 'an elephant'", "elephant"),
    ],
)
def test_bad_input_is_a_sentence_and_the_page_goes_on(page, change, says):
    page.run(f"({change or 0}), true")
    filled(page)
    assert says in page.run(SAID)
    page.run("document.getElementById('caption').value = 'a star', paint.easel.copy(), paint.easel.press(false)")
    filled(page)
    assert page.run(SAID) == "filled"


def test_a_run_is_cancelled(served, page):
    _, session = served
    page.run("paint.easel.press(false), document.querySelector('[name=steps]').value = 5000")
    page.run("document.getElementById('run').click()")
    page.wait("!document.getElementById('cancel').disabled && document.getElementById('progress').value > 0")
    page.run("document.getElementById('cancel').click()")
    page.wait(IDLE)
    assert page.run(SAID).startswith("cancelled")
    assert session.job.state == "cancelled"


def test_what_is_told_of_the_clip_is_text(page):
    assert page.run("document.querySelector('.note').textContent") == "fitted <b>so</b>"


def test_frames_are_scrubbed_and_played(served, page):
    _, session = served
    page.run("document.querySelector('[value=before]').click()")
    page.run(
        "(() => { const f = document.getElementById('frame'); f.value = 2; f.dispatchEvent(new Event('input')); })()"
    )
    assert page.run("document.getElementById('where').value") == "3 / 4"
    shown = page.run("Array.from(document.getElementById('easel').getContext('2d').getImageData(5, 5, 1, 1).data)")
    assert shown[:3] == session.source[2, 0, 0].tolist()
    page.run("document.getElementById('play').click()")
    page.wait("document.getElementById('where').value != '3 / 4'")
    page.run("document.getElementById('play').click()")


def test_pictures_are_lossless(served):
    shown, session = served
    png = bytes(
        shown.run("fetch('frames/source/1.png').then((a) => a.arrayBuffer()).then((b) => [...new Uint8Array(b)])")
    )
    assert (np.asarray(Image.open(io.BytesIO(png))) == session.source[1]).all()
