// The brush of the explorer: paint over a frame, and its model gets a mask.

import { beside, dab, read, write } from "./cells.mjs";

const SIZE = 256; // pixels of the canvas, across

function render({ model, el }) {
  const grid = model.get("grid"), canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "paint: arrows move, space paints, delete wipes, + and - size the brush");
  canvas.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys
  canvas.style.cssText = "cursor:crosshair;touch-action:none;border-radius:4px;max-width:100%;height:auto";
  el.append(canvas);
  const context = canvas.getContext("2d"), picture = new Image();
  let cells = read([], grid), value = 1, down = false, at = [grid / 2, grid / 2];

  const draw = () => {
    if (picture.complete && picture.naturalWidth) {
      canvas.height = Math.round((SIZE * picture.naturalHeight) / picture.naturalWidth); // wipes, too
      context.imageSmoothingEnabled = false;
      context.drawImage(picture, 0, 0, SIZE, canvas.height);
    } else context.clearRect(0, 0, SIZE, canvas.height);
    context.fillStyle = "rgba(86, 180, 233, 0.6)";
    const [wide, high] = [SIZE / grid, canvas.height / grid];
    cells.forEach((on, i) => on && context.fillRect((i % grid) * wide, Math.floor(i / grid) * high, wide, high));
    if (!canvas.matches(":focus-visible")) return;
    for (const [color, more] of [["#000", 1], ["#fff", 0]]) {
      context.strokeStyle = color;
      context.beginPath();
      context.arc(at[0] * wide, at[1] * high, model.get("radius") * wide + more, 0, 7);
      context.stroke();
    }
  };
  const paint = () => {
    dab(cells, grid, at, model.get("radius"), canvas.height / SIZE, value);
    draw();
  };
  const stroke = (event) => {
    const box = canvas.getBoundingClientRect();
    at = [((event.clientX - box.left) / box.width) * grid, ((event.clientY - box.top) / box.height) * grid];
    paint();
  };
  const send = () => {
    down = false;
    model.set("rows", write(cells, grid));
    model.save_changes();
  };
  const move = (...steps) => { at = beside(grid, at, steps); draw(); };
  const mark = (what) => { value = what; paint(); send(); };
  const resize = (by) => {
    model.set("radius", Math.min(8, Math.max(0.5, model.get("radius") + by)));
    model.save_changes();
  };
  const keys = {
    ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
    " ": () => mark(1), Delete: () => mark(0), Backspace: () => mark(0), "+": () => resize(0.5), "-": () => resize(-0.5),
  };
  canvas.addEventListener("pointerdown", (event) => {
    [down, value] = [true, event.shiftKey || event.button === 2 ? 0 : 1];
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
  model.on("change:rows", () => { cells = read(model.get("rows"), grid); draw(); });
  model.on("change:radius", draw);
  picture.src = model.get("picture");
  cells = read(model.get("rows"), grid);
  draw();
}
export default { render };
