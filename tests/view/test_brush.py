"""The brush in a real browser, on a page of its own: a model that only remembers takes the place of the kernel."""

import base64
import importlib.util
import io
import json
from pathlib import Path

import pytest
from PIL import Image

brush = pytest.importorskip("latentlab.view.brush", reason="the brush needs the extra [notebook]")
spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)
pytestmark = pytest.mark.skipif(browser.BINARY is None, reason="no Chromium; Debian's package is `chromium`")

PAGE = """<body style="margin:0"><div id="here"></div><script type="module">
const source = SOURCE;
const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const heard = {};
window.model = {
  values: { grid: 32, radius: 2, rows: [], picture: "PICTURE" }, saved: 0,
  get: (name) => model.values[name],
  set: (name, value) => { model.values[name] = value; heard["change:" + name]?.(); },
  save_changes: () => { model.saved += 1; },
  on: (event, call) => { heard[event] = call; },
};
widget.render({ model, el: document.getElementById("here") });
window.ready = true;
</script>"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    picture = io.BytesIO()
    Image.new("RGB", (64, 32), "gray").save(picture, "png")  # twice as wide as high
    address = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    page = tmp_path_factory.mktemp("brush") / "page.html"
    page.write_text(PAGE.replace("SOURCE", json.dumps(brush.Brush._esm)).replace("PICTURE", address))
    shown = browser.Browser(400, 400)
    shown.open(page, "window.ready && document.querySelector('canvas').height == 128")
    yield shown
    shown.close()


@pytest.fixture
def page(opened):
    opened.run("model.set('rows', []), model.set('radius', 2), document.activeElement.blur()")
    return opened


def painted(page) -> list[list[int]]:
    rows = page.run("model.values.rows")
    return [[i, j] for i, row in enumerate(rows) for j, cell in enumerate(row) if cell == "1"]


def press(page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page("Input.dispatchKeyEvent", type=kind, key=key)


def test_the_brush_is_round_on_a_frame_that_is_not_square(page):
    page.drag([(128, 64)])  # the middle of 256 x 128, radius 16 pixels
    cells = painted(page)
    assert len({j for _, j in cells}) == 4  # cells 8 pixels wide
    assert len({i for i, _ in cells}) == 8  # and 4 high
    page.drag([(128, 64)], modifiers=8)  # shift wipes
    assert page.run("model.values.rows.length") == 0
    assert page.errors == []


def test_a_stroke_that_is_cancelled_counts_and_ends(page):
    page.mouse("Pressed", 40, 40, button="left", clickCount=1)
    page.run("document.querySelector('canvas').dispatchEvent(new PointerEvent('pointercancel', {bubbles: true}))")
    cells = painted(page)
    assert cells
    page.mouse("Moved", 200, 100, button="left", buttons=1)
    page.mouse("Released", 200, 100, button="left", clickCount=1)
    assert painted(page) == cells


def test_keys_paint_wipe_and_size(page):
    page.drag([(4, 2)])  # the brush is at the first cell
    page.run("model.set('rows', []), model.set('radius', 0.5), document.querySelector('canvas').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", " "):
        press(page, key)
    assert painted(page) == [[0, 2], [1, 2], [2, 2]]  # as high as one cell is wide
    press(page, "Delete")
    assert painted(page) == []
    for _ in range(3):
        press(page, "+")
    assert page.run("model.values.radius") == 2
    press(page, "-")
    press(page, " ")
    assert page.run("model.values.radius") == 1.5
    assert len(painted(page)) > 4
    assert page.errors == []
