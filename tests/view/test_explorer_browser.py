"""The explorer as a person meets it: a notebook in JupyterLab, in a headless Chromium, its slider dragged."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is in the extra [notebook]")
pytest.importorskip("ipywidgets", reason="the explorer needs the extra [notebook]")
if importlib.util.find_spec("nbformat") is None:  # its import takes two seconds
    pytest.skip("writing the notebook needs the extra [dev]", allow_module_level=True)


def beside(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


browser, lab = beside("browser"), beside("lab")
pytestmark = pytest.mark.skipif(browser.BINARY is None, reason="no Chromium; Debian's package is `chromium`")

CELLS = (
    """\
import numpy as np
import torch
import latentlab
from latentlab.data import moving_shapes
from latentlab.directions import Direction

torch.set_num_threads(1)
space = latentlab.LatentSpace(latentlab.load())
clip, other = moving_shapes(2, seed=5)[0].split(1)
push = space.encode(other) - space.encode(clip)
push = Direction("push", (push / push.norm())[0].numpy(), float(push.norm()) / 3)
explorer = latentlab.explore(space, {"push": push}, clip=clip)
explorer""",
)
PICTURE = "[...document.querySelectorAll('[role=img]')].map((p) => p.style.backgroundImage)"
HANDLE = """(() => {
    const slider = [...document.querySelectorAll(".widget-slider")].find((s) => s.textContent.includes("push"));
    const {x, y, width, height} = slider.querySelector(".noUi-handle").getBoundingClientRect();
    return [x + width / 2, y + height / 2];
})()"""


@pytest.fixture(scope="module")
def opened():
    server = lab.Lab(CELLS)
    shown = browser.Browser(1280, 1000)
    yield shown, server
    shown.close()
    server.close()


@pytest.mark.slow
def test_a_slider_in_a_notebook(opened):
    page, server = opened
    page.open(server.address, lab.READY, tries=600)
    page.run(lab.RUN)
    page.wait("document.querySelectorAll('[role=img]').length == 2", tries=600)
    before = page.run(f"window.before = {PICTURE}")
    x, y = page.run(HANDLE)
    page.drag([(x, y), (x + 20, y), (x + 50, y)])
    page.wait(f"{PICTURE}[1] != before[1]")
    after = page.run(PICTURE)
    assert after[0] == before[0]  # the source stays
    assert after[1] != before[1]
    assert page.errors == []  # JupyterLab 4.6 itself says nothing there, so nothing needs to be tolerated
