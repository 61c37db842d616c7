"""Does the page of `latentlab paint` follow a hand: frames a second when scrubbed, time to a stroke on the screen?

    python benchmarks/painting.py [--frames 60] [--side 256] [--strokes 40]

A headless Chromium opens the page of a clip of noise, without a model. Scrubbing moves the slider by one frame, again
and again, waiting each time for the browser's next frame; a stroke presses and moves the mouse. The browser itself says
when what an event changed was presented (Event Timing, in steps of 8 ms); for moves, which it does not time, a message
after the next frame does.
"""

from __future__ import annotations

import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentlab.bench.flags import main
from latentlab.view.painting import Server, Session

ALONE = True
BROWSER = Path(__file__).parents[1] / "tests" / "view" / "browser.py"

SCRUB = """(async () => {
  const slider = document.getElementById("frame"), count = ROUNDS * (Number(slider.max) + 1);
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    slider.value = i % (Number(slider.max) + 1);
    slider.dispatchEvent(new Event("input"));
    await frame();
  }
  return (1000 * count) / (performance.now() - began);
})()"""

WATCH = """(() => {
  window.presses = []; window.moves = [];
  new PerformanceObserver((list) => list.getEntries().forEach((one) => {
    if (one.name === "pointerdown" && one.target?.id === "easel") presses.push(one.duration);
  })).observe({ type: "event", durationThreshold: 16, buffered: false });
  document.getElementById("easel").addEventListener("pointermove", (event) => {
    if (!paint.easel.stroke) return;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => moves.push(performance.now() - event.timeStamp);
      channel.port2.postMessage(0);
    });
  });
})()"""


@dataclass(frozen=True)
class Config:
    """What to time."""

    frames: int = 60
    side: int = 256
    strokes: int = 40


def run(config: Config) -> dict[str, Any]:
    """Times and returns the figures."""
    spec = importlib.util.spec_from_file_location("browser", BROWSER)
    assert spec is not None
    assert spec.loader is not None
    browser = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(browser)
    clip = torch.rand(1, 3, config.frames, config.side, config.side, generator=torch.Generator().manual_seed(0))
    with Server(Session(clip * 2 - 1)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = browser.Browser(1280, 900)
        try:
            page.open(server.address, "document.body?.dataset.source === '0'", tries=600)
            rate = page.run(SCRUB.replace("ROUNDS", "3"))
            presses, moves = _strokes(page, config.strokes)
            assert page.errors == [], page.errors
        finally:
            page.close()
            server.shutdown()
            thread.join()
    return {
        "scrubbed_frames_a_second": {"value": rate, "unit": "frames/s"},
        "stroke_begun": _milliseconds(presses),
        "stroke_moved": _milliseconds(moves),
    }


def _strokes(page: Any, count: int) -> tuple[list[float], list[float]]:
    page.run(WATCH)
    box = page.run("document.getElementById('easel').getBoundingClientRect().toJSON()")
    left, top, width = box["x"], box["y"], box["width"]
    rng = np.random.default_rng(0)
    for _ in range(count):
        x, y = rng.uniform(0.2, 0.8, 2)
        page.drag([(left + width * (x + d), top + width * y) for d in (0, 0.03, 0.06, 0.09)])
    page.run("new Promise((done) => setTimeout(done, 500))")
    # presses of less than 16 ms are not told
    presses = page.run("presses")
    return presses + [16.0] * (count - len(presses)), page.run("moves")


def _milliseconds(values: list[float]) -> dict[str, Any]:
    return {
        "value": float(np.median(values)), "unit": "ms", "p95": float(np.quantile(values, 0.95)),
        "largest": float(max(values)), "n": len(values),
    }  # fmt: skip


if __name__ == "__main__":
    main(run)
