"""The brush of notebooks in a real browser: a model that only remembers takes the place of the kernel."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

brush = pytest.importorskip("latentlab.view.painting.brush", reason="the brush needs the extra [notebook]")
spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
browser = importlib.util.module_from_spec(spec)
spec.loader.exec_module(browser)
chromium = pytest.mark.skipif(browser.BINARY is None, reason="no Chromium; Debian's package is `chromium`")

PAGE = """<body style="margin:0"><div id="here"></div><script type="module">
const { default: widget } = await import(URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" })));
const heard = {};
window.model = {
  values: { shape: [2, 8, 16], size: 320, pictures: PICTURES, masks: new DataView(new ArrayBuffer(0)) }, saved: 0,
  get: (name) => model.values[name],
  set: (name, value) => { model.values[name] = value; },
  save_changes: () => { model.saved += 1; },
  on: (event, call) => { heard[event] = call; },
};
widget.render({ model, el: document.getElementById("here") });
window.ready = true;
</script>"""


def clip() -> torch.Tensor:
    return torch.rand(1, 3, 2, 8, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@chromium
def test_what_is_painted_reaches_the_kernel(tmp_path):
    own = brush.MaskBrush(clip())
    page = tmp_path / "page.html"
    page.write_text(PAGE.replace("SOURCE", json.dumps(own._esm)).replace("PICTURES", json.dumps(own.pictures)))
    shown = browser.Browser(400, 400)
    try:
        shown.open(page, "window.ready")
        shown.run("document.querySelector('canvas').focus()")
        for key in ("ArrowRight", " ", "ArrowLeft"):
            for kind in ("keyDown", "keyUp"):
                shown("Input.dispatchKeyEvent", type=kind, key=key)
        shown.run("[...document.querySelectorAll('button')].find((b) => b.textContent.includes('all')).click()")
        own.masks = bytes(shown.run("[...new Uint8Array(model.values.masks.buffer)]"))
        assert own.mask.shape == (1, 1, 2, 8, 16)
        assert own.mask[0, 0, 0, 4, 9] == 1
        assert torch.equal(own.mask[:, :, 0], own.mask[:, :, 1])
        assert 0 < own.mask.mean() < 0.2
        assert shown.errors == []
    finally:
        shown.close()


def test_a_mask_is_given_and_read_back():
    mask = torch.zeros(8, 16)
    mask[2, 3] = 1
    assert torch.equal(brush.MaskBrush(clip(), mask).mask[0, 0, 1], mask)
    assert brush.MaskBrush(clip()).mask.sum() == 0
    with pytest.raises(ValueError, match="one clip"):
        brush.MaskBrush(clip().expand(2, -1, -1, -1, -1))
    with pytest.raises(ValueError, match="8 x 16"):
        brush.MaskBrush(clip(), np.zeros((4, 4)))
