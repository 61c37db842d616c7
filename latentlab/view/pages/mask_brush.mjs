// The canvas of the page to paint on, in a notebook: frames below, masks on them, and buttons.
import { Easel } from "./easel.mjs";

function render({ model, el }) {
  const [count, height, width] = model.get("shape");
  const made = (tag, more) => Object.assign(document.createElement(tag), more);
  const canvas = made("canvas", { tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute(
    "aria-label",
    "frame to paint on: arrows move the brush, space paints, delete wipes, + and - size it, z takes back, y does again",
  );
  canvas.dataset.lmSuppressShortcuts = "true"; // or JupyterLab takes the keys
  canvas.style.cssText = `cursor:crosshair;touch-action:none;border-radius:4px;width:min(100%,${model.get("size")}px);height:auto;image-rendering:pixelated;display:block`;
  const slider = made("input", { type: "range", min: 0, max: count - 1, value: 0 });
  slider.setAttribute("aria-label", "frame");
  const place = made("output"), row = made("div");
  row.style.cssText = "display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin-top:6px";
  const pictures = model.get("pictures").map((address) => made("img", { src: address }));

  const send = (painted) => {
    if (!painted) return;
    const all = new Uint8Array(count * width * height);
    easel.masks.forEach((mask, frame) => all.set(mask, frame * mask.length));
    model.set("masks", new DataView(all.buffer));
    model.save_changes();
  };
  const take = () => {
    const view = model.get("masks");
    if (view.byteLength !== count * width * height) return;
    const all = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    easel.masks.forEach((mask, frame) => mask.set(all.subarray(frame * mask.length, (frame + 1) * mask.length)));
    show();
  };
  const easel = new Easel(canvas, width, height, count, send);
  const show = (frame = easel.frame) => {
    place.value = `${frame + 1} / ${count}`;
    const picture = pictures[frame];
    easel.show(frame, (context) => {
      context.clearRect(0, 0, canvas.width, canvas.height);
      if (picture.complete && picture.naturalWidth) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    });
  };
  const button = (title, act) => {
    const one = made("button", { type: "button", textContent: title, className: "jupyter-button" });
    one.addEventListener("click", act);
    row.append(one);
  };
  slider.addEventListener("input", () => show(slider.valueAsNumber));
  if (count > 1) row.append(slider, place);
  button("undo", () => easel.undo());
  button("grow", () => easel.grow());
  button("shrink", () => easel.shrink());
  if (count > 1) button("this frame on all", () => easel.copy());
  button("clear", () => easel.wipe());
  el.append(canvas, row);
  pictures.forEach((picture, frame) => picture.addEventListener("load", () => frame === easel.frame && show()));
  model.on("change:masks", take);
  show();
  take();
}
export default { render };
