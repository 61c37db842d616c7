"""A brush: paint over a frame, and get a mask."""

from __future__ import annotations

import anywidget
import traitlets

GRID = 32  # cells each way

SCRIPT = """
function render({ model, el }) {
  const [grid, size] = [model.get("grid"), 256];
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  canvas.tabIndex = 0;
  canvas.setAttribute("aria-label", "frame to paint on");
  canvas.style.cssText = "cursor:crosshair;touch-action:none;border-radius:4px;max-width:100%";
  el.append(canvas);
  const context = canvas.getContext("2d");
  const picture = new Image();
  let cells = new Uint8Array(grid * grid), erase = false, down = false;

  function read() {
    cells = Uint8Array.from(model.get("rows").join("").padEnd(grid * grid, "0"), Number);
    draw();
  }
  function draw() {
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, size, size);
    if (picture.complete && picture.naturalWidth) context.drawImage(picture, 0, 0, size, size);
    context.fillStyle = "rgba(86, 180, 233, 0.6)";
    const step = size / grid;
    cells.forEach((on, i) => on && context.fillRect((i % grid) * step, Math.floor(i / grid) * step, step, step));
  }
  function paint(event) {
    const box = canvas.getBoundingClientRect(), radius = model.get("radius");
    const x = ((event.clientX - box.left) / box.width) * grid, y = ((event.clientY - box.top) / box.height) * grid;
    for (let i = 0; i < cells.length; i++) {
      const across = (i % grid) + 0.5 - x, along = Math.floor(i / grid) + 0.5 - y;
      if (across * across + along * along <= radius * radius) cells[i] = erase ? 0 : 1;
    }
    draw();
  }
  canvas.addEventListener("pointerdown", (event) => {
    [down, erase] = [true, event.shiftKey || event.button == 2];
    canvas.setPointerCapture(event.pointerId);
    paint(event);
  });
  canvas.addEventListener("pointermove", (event) => down && paint(event));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerup", () => {
    down = false;
    const text = cells.join("");
    const rows = Array.from({ length: grid }, (_, i) => text.slice(i * grid, (i + 1) * grid));
    model.set("rows", text.includes("1") ? rows : []);
    model.save_changes();
  });
  picture.addEventListener("load", draw);
  model.on("change:picture", () => (picture.src = model.get("picture")));
  model.on("change:rows", read);
  picture.src = model.get("picture");
  read();
}
export default { render };
"""


class Brush(anywidget.AnyWidget):
    """A frame to paint on: drag to paint, drag with shift or the right button to wipe.

    Attributes:
        picture: `data:` address of the frame.
        rows: what is painted, rows of "0" and "1"; none where nothing is.
        radius: of the brush, cells.
    """

    _esm = SCRIPT
    grid = traitlets.Int(GRID).tag(sync=True)
    picture = traitlets.Unicode("").tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    radius = traitlets.Float(3.0).tag(sync=True)
