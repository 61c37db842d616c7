// A map of points: moved and zoomed by hand, wheel and keys, coloured by a factor, selected by a lasso, its clips playing.

import { colorOf, outline, rgb, said, shapeOf } from "./marks.mjs";
import { ahead, bucketed, inside } from "./plane.mjs";
import { byCard, byHand, hardware } from "./points.mjs";
import { sceneOf, side, size, toMap, toScreen, unpack, where, zoomAt } from "./scene.mjs";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent), { places, factors } = unpack(data);
const scene = sceneOf(places, data.extent), { count, chosen } = scene, steps = data.steps.length;
const idOf = (i) => (data.ids ? data.ids[i] : i);
const stage = $("stage"), points = $("points"), over = $("over"), ink = over.getContext("2d");
const darkMode = matchMedia("(prefers-color-scheme: dark)"), calm = matchMedia("(prefers-reduced-motion: reduce)");
const byWebgl = location.hash === "#webgl" || hardware();
const drawn = (byWebgl ? byCard : byHand)(points, scene);
let factor = factors[0], lasso = null, hovered = -1, cursor = -1, playing = false;

// Drawing
let asked = false;
const draw = () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; drawn.draw(); drawOver(); });
};
const look = () => ({ palette: data.palette, maps: data.maps, dark: darkMode.matches });
const paint = () => {
  const known = new Map(), now = look(), plain = data.palette[0][now.dark ? 1 : 0];
  const parts = (hex) => known.get(hex) ?? known.set(hex, rgb(hex)).get(hex);
  for (let i = 0; i < count; i++) {
    scene.colors.set(parts(factor ? colorOf(factor, factor.values[i], now) : plain), 4 * i);
    scene.colors[4 * i + 3] = scene.some && !chosen[i] ? 60 : 255;
    scene.shapes[i] = factor ? shapeOf(factor, factor.values[i]) : 0;
  }
  drawn.upload();
  draw();
};
const drawOver = () => {
  const { color } = getComputedStyle(document.body), marked = hovered < 0 ? cursor : hovered;
  ink.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  ink.clearRect(0, 0, scene.width, scene.height);
  ink.strokeStyle = ink.fillStyle = color;
  ink.lineWidth = 1.5;
  if (marked >= 0) {
    ink.beginPath();
    ink.arc(...toScreen(scene, where(scene, marked)), size(scene) / 2 + 3, 0, 2 * Math.PI);
    ink.stroke();
  }
  if (lasso) {
    ink.beginPath();
    lasso.forEach((place) => ink.lineTo(...place));
    ink.closePath();
    ink.setLineDash([5, 4]);
    ink.stroke();
    ink.setLineDash([]);
    ink.globalAlpha = 0.08;
    ink.fill();
    ink.globalAlpha = 1;
  }
};
const fit = () => {
  const box = stage.getBoundingClientRect();
  Object.assign(scene, { width: box.width, height: box.height, ratio: Math.min(2, devicePixelRatio || 1) });
  for (const canvas of [points, over]) {
    canvas.width = Math.round(box.width * scene.ratio);
    canvas.height = Math.round(box.height * scene.ratio);
  }
  draw();
};

// What lies under the pointer, its clip playing
let buckets = null, sorted = -1;
const near = (place) => {
  if (sorted !== scene.step) [buckets, sorted] = [bucketed(count, (i) => where(scene, i)), scene.step];
  return buckets(...toMap(scene, place), Math.max(10, size(scene)) / side(scene));
};
const clip = (i) => data.clips[i];
const video = (i) => {
  const player = document.createElement("video");
  Object.assign(player, { src: clip(i), muted: true, loop: true, playsInline: true });
  player.setAttribute("aria-label", `clip ${idOf(i)}`);
  if (calm.matches) player.controls = true;
  else player.play().catch(() => {});
  return player;
};
const tip = $("tip");
const lines = (i) => factors.map((f) => `${f.name}: ${said(f, f.values[i])}`);
const hover = (i, [x, y] = [0, 0]) => {
  if (i !== hovered) {
    hovered = i;
    tip.replaceChildren();
    if (i >= 0) {
      if (clip(i)) tip.append(video(i));
      for (const [tag, text] of [["b", idOf(i)], ...lines(i).map((line) => ["span", line])])
        tip.appendChild(document.createElement(tag)).textContent = text;
    }
    tip.hidden = i < 0;
    draw();
  }
  if (i < 0) return;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(0, x + 16 + box.width > scene.width ? x - 16 - box.width : x + 16)}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 12, scene.height - box.height))}px`;
};

// Selection
const selected = () => Array.from(chosen.keys()).filter((i) => chosen[i]);
const ids = () => JSON.stringify(selected().map(idOf));
const select = (test, add) => {
  for (let i = 0; i < count; i++) chosen[i] = test(i) || (add && chosen[i]) ? 1 : 0;
  const rows = selected();
  scene.some = rows.length;
  const [some, all] = [scene.some, count].map((number) => number.toLocaleString("en"));
  $("count").textContent = scene.some ? `${some} of ${all} selected` : "nothing selected";
  for (const name of ["copy", "download", "clear"]) $(name).disabled = !scene.some;
  $("strip").replaceChildren(...rows.filter(clip).slice(0, 24).map(video));
  paint();
};
$("clear").addEventListener("click", () => select(() => false));
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(ids());
  } catch { // not allowed in a frame
    const field = document.createElement("textarea");
    field.value = ids();
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy ids"; }, 1200);
});
$("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([ids()], { type: "application/json" }));
  link.download = "selected.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

// The hand moves and zooms; the lasso, or Shift, selects.
const pointers = new Map();
let drawing = false, moved = 0, spread = 0;
const local = (event) => {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
const zoom = (place, by) => { zoomAt(scene, place, by); draw(); };
over.addEventListener("pointerdown", (event) => {
  over.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, local(event));
  drawing = pointers.size === 1 && (event.shiftKey || $("lasso").getAttribute("aria-pressed") === "true");
  lasso = drawing ? [local(event)] : null;
  moved = spread = 0;
});
over.addEventListener("pointermove", (event) => {
  const place = local(event), [x, y] = place, last = pointers.get(event.pointerId);
  if (!last) return hover(near(place), place);
  pointers.set(event.pointerId, place);
  moved += Math.abs(x - last[0]) + Math.abs(y - last[1]);
  if (drawing) lasso.push(place);
  else if (pointers.size === 2) {
    const [[ax, ay], [bx, by]] = [...pointers.values()], wide = Math.hypot(ax - bx, ay - by);
    if (spread) zoom([(ax + bx) / 2, (ay + by) / 2], wide / spread);
    spread = wide;
  } else {
    scene.x -= (x - last[0]) / side(scene);
    scene.y += (y - last[1]) / side(scene);
  }
  hover(-1);
  draw();
});
const up = (event) => {
  const place = local(event), ring = lasso;
  pointers.delete(event.pointerId);
  if (drawing && moved > 8) {
    select((i) => inside(...toScreen(scene, where(scene, i)), ring), event.shiftKey && scene.some > 0);
  } else if (moved <= 8 && event.type === "pointerup") {
    const i = near(place);
    hover(i, place);
    if (i >= 0 && (event.ctrlKey || event.metaKey)) select((k) => k === i, true);
  }
  drawing = false;
  lasso = null;
  draw();
};
for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, up);
over.addEventListener("pointerleave", () => hover(-1));
over.addEventListener("blur", () => { cursor = -1; hover(-1); });
const wheel = (event) => {
  const place = local(event);
  event.preventDefault();
  zoom(place, Math.exp(-event.deltaY * 0.0015));
  hover(near(place), place);
};
over.addEventListener("wheel", wheel, { passive: false });
$("lasso").addEventListener("click", (event) => {
  const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", on);
  over.classList.toggle("drawing", on);
});
$("home").addEventListener("click", () => { Object.assign(scene, { x: 0.5, y: 0.5, zoom: 1 }); draw(); });

// By keys: from the middle of the view to the nearest point, then from point to point.
const visit = (i) => {
  if (i < 0) return;
  cursor = i;
  const [x, y] = toScreen(scene, where(scene, i));
  if (x < 0 || y < 0 || x > scene.width || y > scene.height) [scene.x, scene.y] = where(scene, i);
  $("said").textContent = [idOf(i), ...lines(i), chosen[i] ? "selected" : ""].filter(String).join(", ");
  draw();
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
over.addEventListener("keydown", (event) => {
  const by = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key], go = ARROWS[event.key];
  if (by) zoom([scene.width / 2, scene.height / 2], by);
  if (go && event.shiftKey) {
    scene.x += (40 * go[0]) / side(scene);
    scene.y += (40 * go[1]) / side(scene);
    draw();
  } else if (go) visit(ahead(count, (i) => where(scene, i), cursor, [scene.x, scene.y], go));
  if (event.key === "Enter" && cursor >= 0) {
    select((k) => (k === cursor) !== Boolean(chosen[k]));
    visit(cursor);
  }
  if (event.key === "Escape") select(() => false);
  if (cursor >= 0) hover(cursor, toScreen(scene, where(scene, cursor))); // stays at its point
  if (by || go) event.preventDefault();
});

// Colours: a button for each category, which selects it, or a bar from the lowest to the highest
const legend = () => {
  const place = $("legend");
  place.replaceChildren();
  if (!factor) return;
  if (factor.kind === "categorical") {
    const entry = (label, value, test) => {
      const item = document.createElement("button"), dot = document.createElement("i");
      item.type = "button";
      item.title = `select ${label}`;
      dot.style.background = colorOf(factor, value, look());
      dot.style.clipPath = `polygon(${outline(shapeOf(factor, value)).map(([x, y]) => `${50 + 50 * x}% ${50 + 50 * y}%`)})`;
      item.append(dot, label);
      item.addEventListener("click", (event) => select((k) => test(factor.values[k]), event.shiftKey));
      place.append(item);
    };
    factor.labels.forEach((label, i) => entry(label, i, (value) => Math.trunc(value) === i));
    if (factor.values.some(Number.isNaN)) entry("unknown", NaN, Number.isNaN);
    return;
  }
  const bar = document.createElement("canvas"), stops = data.maps[factor.kind], pen = bar.getContext("2d");
  [bar.width, bar.height] = [stops.length, 1];
  stops.forEach((color, i) => { pen.fillStyle = color; pen.fillRect(i, 0, 1, 1); });
  const [low, high] = [factor.low, factor.high].map((end) => {
    const word = document.createElement("span");
    word.textContent = said(factor, end);
    return word;
  });
  place.append(low, bar, high);
};
factors.forEach((f, i) => $("factor").add(new Option(f.label, i)));
$("coloring").hidden = !factors.length;
$("factor").addEventListener("change", (event) => { factor = factors[event.target.value]; legend(); paint(); });

// From map to map
const slider = $("step");
const setStep = (value) => {
  const shown = Math.round(value);
  slider.value = scene.step = value;
  $("stepname").textContent = data.steps[shown];
  slider.setAttribute("aria-valuetext", data.steps[shown]);
  $("quality").textContent = data.quality[shown] ?? "";
  draw();
};
$("stepping").hidden = steps < 2;
slider.max = steps - 1;
slider.addEventListener("keydown", (event) => { // from map to map, not by the hundredths that a hand may rest on
  const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  setStep(Math.min(steps - 1, Math.max(0, Math.round(scene.step) + by)));
});
slider.addEventListener("input", () => { playing = false; $("play").textContent = "Play"; setStep(Number(slider.value)); });
slider.addEventListener("change", () => setStep(Math.round(slider.value)));
$("play").addEventListener("click", () => {
  playing = !playing;
  $("play").textContent = playing ? "Pause" : "Play";
  if (!playing) return setStep(Math.round(scene.step));
  let last = performance.now();
  const tick = (now) => {
    if (!playing) return;
    const next = scene.step + (now - last) / 700;
    last = now;
    setStep(next > steps - 1 ? 0 : next);
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
});

darkMode.addEventListener("change", () => { legend(); paint(); });
new ResizeObserver(() => { hover(-1); fit(); }).observe(stage);
fit();
legend();
setStep(0);
select(() => false);
document.body.dataset.ready = byWebgl ? "webgl" : "canvas";
