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
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "paint: arrows move, space paints, delete wipes, + and - size the brush");
  canvas.dataset.lmSuppressShortcuts = "true";  // or JupyterLab takes the keys
  canvas.style.cssText = "cursor:crosshair;touch-action:none;border-radius:4px;max-width:100%;height:auto";
  el.append(canvas);
  const context = canvas.getContext("2d");
  const picture = new Image();
  let cells = new Uint8Array(grid * grid), erase = false, down = false, at = [grid / 2, grid / 2];

  function read() {
    cells = Uint8Array.from(model.get("rows").join("").padEnd(grid * grid, "0"), Number);
    draw();
  }
  function draw() {
    if (picture.complete && picture.naturalWidth) {
      canvas.height = Math.round((size * picture.naturalHeight) / picture.naturalWidth);  // wipes, too
      context.imageSmoothingEnabled = false;
      context.drawImage(picture, 0, 0, size, canvas.height);
    } else context.clearRect(0, 0, size, canvas.height);
    context.fillStyle = "rgba(86, 180, 233, 0.6)";
    const [wide, high] = [size / grid, canvas.height / grid];
    cells.forEach((on, i) => on && context.fillRect((i % grid) * wide, Math.floor(i / grid) * high, wide, high));
    if (!canvas.matches(":focus-visible")) return;
    for (const [color, more] of [["#000", 1], ["#fff", 0]]) {
      context.strokeStyle = color;
      context.beginPath();
      context.arc(at[0] * wide, at[1] * high, model.get("radius") * wide + more, 0, 7);
      context.stroke();
    }
  }
  function paint() {  // a circle on the screen, whatever the shape of a cell, and at least the cell it is in
    const radius = model.get("radius"), ratio = canvas.height / size;
    for (let i = 0; i < cells.length; i++) {
      const [column, row] = [i % grid, Math.floor(i / grid)];
      const inside = Math.hypot(column + 0.5 - at[0], (row + 0.5 - at[1]) * ratio) <= radius;
      if (inside || (column == Math.floor(at[0]) && row == Math.floor(at[1]))) cells[i] = erase ? 0 : 1;
    }
    draw();
  }
  function stroke(event) {
    const box = canvas.getBoundingClientRect();
    at = [((event.clientX - box.left) / box.width) * grid, ((event.clientY - box.top) / box.height) * grid];
    paint();
  }
  function send() {
    down = false;
    const text = cells.join("");
    const rows = Array.from({ length: grid }, (_, i) => text.slice(i * grid, (i + 1) * grid));
    model.set("rows", text.includes("1") ? rows : []);
    model.save_changes();
  }
  function resize(by) {
    model.set("radius", Math.min(8, Math.max(0.5, model.get("radius") + by)));
    model.save_changes();
  }
  function move(x, y) {
    at = [[0, x], [1, y]].map(([k, by]) => Math.min(grid - 0.5, Math.max(0.5, Math.floor(at[k]) + 0.5 + by)));
    draw();
  }
  function mark(wipe) {
    erase = wipe;
    paint();
    send();
  }
  const keys = {
    ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
    " ": () => mark(false), Delete: () => mark(true), Backspace: () => mark(true),
    "+": () => resize(0.5), "-": () => resize(-0.5),
  };
  canvas.addEventListener("pointerdown", (event) => {
    [down, erase] = [true, event.shiftKey || event.button == 2];
    canvas.setPointerCapture(event.pointerId);
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => down && stroke(event));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => down && send());
  for (const change of ["focus", "blur"]) canvas.addEventListener(change, draw);
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  picture.addEventListener("load", draw);
  model.on("change:picture", () => (picture.src = model.get("picture")));
  model.on("change:rows", read);
  model.on("change:radius", draw);
  picture.src = model.get("picture");
  read();
}
export default { render };
"""


class Brush(anywidget.AnyWidget):
    """A frame to paint on: drag to paint, drag with shift or the right button to wipe.

    By keys: arrows move the brush, space paints, delete wipes, + and - change its size.

    Attributes:
        picture: `data:` address of the frame.
        rows: what is painted, rows of "0" and "1"; none where nothing is.
        radius: of the brush, cells across, 0.5 to 8.
    """

    _esm = SCRIPT
    grid = traitlets.Int(GRID).tag(sync=True)
    picture = traitlets.Unicode("").tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    radius = traitlets.Float(3.0).tag(sync=True)
