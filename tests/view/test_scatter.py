"""The page of a map: what it holds, that it needs nothing else, and what it does in a browser."""

import base64
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from latentlab.data import moving_shapes
from latentlab.view.projection import project_series
from latentlab.view.scatter import scatter
from latentlab.view.style import CATEGORIES

_spec = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


def data(page) -> dict:
    return json.loads(page.data)


@pytest.fixture
def browser():
    if _module.BINARY is None:
        pytest.skip("no Chromium here")
    found = _module.Browser()
    yield found
    found.close()


def test_points_lie_where_they_are():
    points = np.array([[0.0, 0.0], [10.0, 2.0], [5.0, 1.0]])
    held = data(scatter([points, points + np.array([0, 8])]))
    places = [np.frombuffer(base64.b64decode(p), "<u2").reshape(-1, 2) / 65535 for p in held["places"]]
    np.testing.assert_allclose(places[0] * 10, points, atol=1e-3)
    np.testing.assert_allclose(places[1] - places[0], [[0, 0.8]] * 3, atol=1e-4)
    assert held["extent"] == [1.0, 1.0]


def test_factors_keep_their_kinds_and_numbers():
    _, table = moving_shapes(4, seed=0)
    held = data(scatter(np.eye(4)[:, :2], table))
    kinds = {f["label"].split(" (")[0]: f["kind"] for f in held["factors"]}
    assert (kinds["hue"], kinds["shape"], kinds["size"]) == ("circular", "categorical", "sequential")
    (hue,) = [f for f in held["factors"] if f["label"].startswith("hue")]
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(hue["values"]), "<f4"), table["hue"], rtol=1e-6)
    assert (hue["low"], hue["high"]) == (0, 360)


def test_page_is_small_and_fetches_nothing():
    html = scatter(np.eye(2)).html()
    assert len(html.encode()) < 1_000_000
    assert "default-src 'none'; media-src data:; " in html
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html)
    many = scatter(np.random.default_rng(0).normal(size=(100_000, 2)))
    assert len(many.html()) < 600_000  # of which 0.53 MB are places


def test_names_cannot_break_out_of_the_page():
    attack = "</script><script>alert(1)</script>"
    page = scatter(np.eye(2), {attack: [1, 2]}, ids=[attack, "b"], title=attack, steps=[attack])
    assert attack not in page.html()
    assert data(page)["ids"][0] == attack
    assert "&lt;/script&gt;" in page._repr_html_().replace("&amp;", "&")


def test_those_who_hear_the_page_know_what_is_where():
    page = scatter(np.eye(2), title="a <b>")
    assert 'title="a &lt;b&gt;" sandbox' in page._repr_html_()
    assert 'role="application" aria-label="a &lt;b&gt;: a map of points. Arrows' in page.html()
    assert '<div id="strip" role="group"' in page.html()


def test_clips_by_row_by_address_or_all():
    video = torch.zeros(2, 3, 4, 16, 16)
    assert set(data(scatter(np.eye(2), clips=video))["clips"]) == {"0", "1"}
    some = scatter(np.eye(2), clips={1: video[:1]})
    assert data(some)["clips"]["1"].startswith("data:video/mp4;base64,")
    assert not some.linked
    linked = scatter(np.eye(2), clips=["clips/a.mp4", "clips/b.mp4"])
    assert data(linked)["clips"] == {"0": "clips/a.mp4", "1": "clips/b.mp4"}
    assert "media-src data: 'self' file:;" in linked.html().replace("&#39;", "'")


def test_rows_without_a_clip_are_left_out():
    assert data(scatter(np.eye(2), clips=[None, "a.mp4"]))["clips"] == {"1": "a.mp4"}
    assert data(scatter(np.eye(2), clips={np.int64(0): None}))["clips"] == {}
    one = torch.zeros(1, 3, 4, 16, 16)
    assert set(data(scatter(np.eye(2), clips=[one, None]))["clips"]) == {"0"}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no map to show"):
        scatter([])
    with pytest.raises(ValueError, match=r"by row, from 0 to 1, got rows \['a'\]"):
        scatter(np.eye(2), clips={"a": "a.mp4"})
    with pytest.raises(ValueError, match=r"one shape \(sample, 2\), got \[\(3, 3\)\]"):
        scatter(np.eye(3))
    with pytest.raises(ValueError, match="of one shape"):
        scatter([np.eye(2), np.zeros((3, 2))])
    with pytest.raises(ValueError, match="1 clips for 2 samples"):
        scatter(np.eye(2), clips=torch.zeros(1, 3, 4, 16, 16))
    with pytest.raises(ValueError, match=r"by row, from 0 to 1, got rows \[7\]"):
        scatter(np.eye(2), clips={7: "a.mp4"})
    with pytest.raises(ValueError, match="as many ids and steps, got 1 and 1"):
        scatter(np.eye(2), ids=["a"])
    with pytest.raises(ValueError, match="one value for each of 2 points"):
        scatter(np.eye(2), {"a": [1, 2, 3]})


@pytest.mark.slow
def test_in_a_browser(browser, tmp_path):
    clips, factors = moving_shapes(12, seed=0)
    codes = np.random.default_rng(0).normal(size=(12, 4))
    maps = project_series([codes, codes * [1, 2, 1, 1]], repeats=0)
    ids = [f"clip {i}" for i in range(12)]
    page = scatter(maps, factors, clips=clips, ids=ids, steps=[0.0, 0.5], step_label="noise level")
    page.save(tmp_path / "map.html")
    browser.open(tmp_path / "map.html", "document.body && document.body.dataset.ready")
    box = browser.run("(({x, y, width, height}) => [x, y, width, height])(stage.getBoundingClientRect())")
    left, top, width, height = box
    low, high = np.min([m.points.min(0) for m in maps], 0), np.max([m.points.max(0) for m in maps], 0)
    middle, span = (low + high) / 2, high - low
    side = 0.92 * min(width / span[0], height / span[1])
    at = (maps[0].points - middle) * [side, -side] + [left + width / 2, top + height / 2]

    # under the pointer: the clip, looping, and its factors
    browser.mouse("Moved", *at[5])
    browser.wait("!document.querySelector('#tip').hidden")
    assert browser.run("document.querySelector('#tip b').textContent") == "clip 5"
    assert browser.run("document.querySelector('#tip video').loop")
    browser.wait("document.querySelector('#tip video').currentTime > 0")
    assert f"shape: {factors.spec('shape').labels[int(factors['shape'][5])]}" in browser.run(
        "document.querySelector('#tip').textContent"
    )

    # a lasso around the left half, with Shift
    half = left + width / 2
    ring = [(left + 2, top + 2), (half, top + 2), (half, top + height - 3), (left + 2, top + height - 3)]
    browser.drag(ring, modifiers=8)
    inside = [i for i in range(12) if at[i, 0] < half]
    assert browser.run("document.querySelector('#count').textContent") == f"{len(inside)} of 12 selected"
    assert browser.run("document.querySelectorAll('#strip video').length") == len(inside)
    browser.run(
        "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); };"
        "document.querySelector('#copy').click()"
    )
    assert json.loads(browser.run("window.copied")) == [ids[i] for i in inside]

    # a click on a category selects it, the slider names its step and its quality
    browser.run("document.querySelector('#legend button').click()")
    first = int((factors["shape"] == 0).sum())
    assert browser.run("document.querySelector('#count').textContent").startswith(f"{first} of" if first else "nothing")
    browser.run("step.value = 1; step.dispatchEvent(new Event('input'))")
    assert browser.run("document.querySelector('#stepname').textContent") == "0.5"
    assert f"{maps[1].quality.trustworthiness:.2f}" in browser.run("document.querySelector('#quality').textContent")

    # by keys: to the point nearest to the middle, to one on the right of it, and into the selection; then over the maps
    browser.run("home.click(); clear.click(); over.focus(); step.value = 0; step.dispatchEvent(new Event('input'))")
    press = "over.dispatchEvent(new KeyboardEvent('keydown', { key: '%s' })); said.textContent"
    near = int(np.linalg.norm(maps[0].points - middle, axis=1).argmin())
    assert browser.run(press % "ArrowRight").startswith(f"{ids[near]}, ")
    ahead = maps[0].points - maps[0].points[near]
    cost = np.where(ahead[:, 0] > 0, ahead[:, 0] + 2 * np.abs(ahead[:, 1]), np.inf)
    right = ids[int(cost.argmin())]
    assert browser.run(press % "ArrowRight").startswith(f"{right}, ")
    assert browser.run(press % "Enter").endswith(", selected")
    browser.run("copy.click()")
    assert json.loads(browser.run("window.copied")) == [right]
    assert not browser.run(press % "Enter").endswith(", selected")
    browser.run("step.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }))")
    assert browser.run("step.getAttribute('aria-valuetext')") == "0.5"

    # both ways of drawing put the same colour where a point is
    for fragment in ("", "#webgl"):
        browser.open(tmp_path / "map.html", "document.body && document.body.dataset.ready", fragment)
        drawn = browser.run("document.body.dataset.ready")
        assert drawn == ("webgl" if fragment else drawn)
        x, y = (round(float(v)) for v in at[5] - [left, top])
        browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        pixel = browser.run(
            "(() => { const copy = document.createElement('canvas'); copy.width = copy.height = 1;"
            f"const pen = copy.getContext('2d'); pen.drawImage(points, -{x}, -{y}); "
            "return [...pen.getImageData(0, 0, 1, 1).data]; })()"
        )
        color = CATEGORIES[int(factors["shape"][5])][0]
        assert pixel == [int(color[i : i + 2], 16) for i in (1, 3, 5)] + [255]
    assert browser.errors == []
