// A canvas to paint masks on: a clip's frame, what is painted on it, and the brush. By mouse, touch, pen or keys.
import { History, along, grown, inverted, isEmpty, shrunk, stamp } from "./masks.mjs";

const INK = [86, 180, 233], COVER = 150; // of 255, where a mask is 1
const SMALLEST = 512; // pixels of the canvas, so that the brush is round on small clips too

export class Easel {
  // canvas: where; width, height, count: of the clip, pixels and frames; changed: called with whether masks did, or the brush
  constructor(canvas, width, height, count, changed = () => {}) {
    Object.assign(this, { canvas, width, height, count, changed });
    this.scale = Math.max(1, Math.round(SMALLEST / Math.max(width, height)));
    canvas.width = width * this.scale;
    canvas.height = height * this.scale;
    this.context = canvas.getContext("2d");
    this.cover = document.createElement("canvas");
    Object.assign(this.cover, { width, height });
    this.inks = new ImageData(width, height);
    this.masks = Array.from({ length: count }, () => new Uint8Array(width * height));
    this.history = new History();
    this.byHand = new Set(); // frames that somebody painted on, and that are to be carried to others
    this.at = [width / 2, height / 2];
    this.radius = Math.max(1, Math.round(Math.min(width, height) / 12));
    this.frame = 0;
    this.wiping = false; // whether the brush takes away
    this.shows = true; // whether masks are seen
    this.draw = (context) => context.clearRect(0, 0, canvas.width, canvas.height); // the picture below
    this.stroke = null;
    this.listen();
  }

  // The picture of the frame, drawn by a function of the context.
  show(frame, draw) {
    this.end();
    this.frame = frame;
    this.draw = draw;
    this.paintCover();
    this.render();
  }

  get mask() {
    return this.masks[this.frame];
  }

  // Frames with something on them.
  get painted() {
    return this.masks.flatMap((mask, frame) => (isEmpty(mask) ? [] : [frame]));
  }

  render() {
    this.context.imageSmoothingEnabled = false;
    this.draw(this.context);
    if (!this.shows) return;
    this.context.drawImage(this.cover, 0, 0, this.canvas.width, this.canvas.height);
    if (this.canvas.matches(":focus, :hover")) this.drawBrush();
  }

  drawBrush() {
    const [x, y] = this.at.map((value) => value * this.scale);
    for (const [colour, more] of [["#000", 1], ["#fff", 0]]) {
      this.context.strokeStyle = colour;
      this.context.lineWidth = Math.max(1, this.canvas.width / 600);
      this.context.beginPath();
      this.context.arc(x, y, this.radius * this.scale + more, 0, 7);
      this.context.stroke();
    }
  }

  paintCover(place = { left: 0, top: 0, right: this.width - 1, bottom: this.height - 1 }) {
    const { left, top, right, bottom } = place, { data } = this.inks;
    for (let row = top; row <= bottom; row++) {
      for (let column = left; column <= right; column++) {
        const pixel = row * this.width + column, at = 4 * pixel;
        [data[at], data[at + 1], data[at + 2]] = INK;
        data[at + 3] = (this.mask[pixel] * COVER) / 255;
      }
    }
    const context = this.cover.getContext("2d");
    context.putImageData(this.inks, 0, 0, left, top, right - left + 1, bottom - top + 1);
  }

  // Strokes

  begin(place, wipe) {
    if (!this.shows) return;
    this.history.keep(new Map([[this.frame, this.mask.slice()]]));
    this.stroke = { value: wipe ? 0 : 255, last: place };
    this.byHand.add(this.frame);
    this.mark([place]);
  }

  go(places) {
    const step = Math.max(0.5, this.radius / 2);
    const way = places.flatMap((place, i) => along(i ? places[i - 1] : this.stroke.last, place, step));
    this.stroke.last = places.at(-1);
    this.mark(way);
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed(true);
  }

  mark(places) {
    for (const [x, y] of places) {
      this.paintCover(stamp(this.mask, this.width, this.height, x, y, this.radius, this.stroke.value));
    }
    this.at = places.at(-1);
    this.render();
  }

  // What buttons do

  // Masks of some frames become others; one step to undo.
  put(masks) {
    this.history.keep(new Map([...masks.keys()].map((frame) => [frame, this.masks[frame]])));
    masks.forEach((mask, frame) => (this.masks[frame] = mask));
    this.redrawn();
  }

  each(change) {
    this.put(new Map(this.masks.map((mask, frame) => [frame, change(mask, this.width, this.height)])));
  }

  grow() {
    this.each(grown);
  }

  shrink() {
    this.each(shrunk);
  }

  invert() {
    this.each(inverted);
  }

  // What is painted on this frame, on all.
  copy() {
    this.masks.forEach((_, frame) => this.byHand.add(frame));
    this.put(new Map(this.masks.map((_, frame) => [frame, this.mask.slice()])));
  }

  wipe() {
    this.byHand.clear();
    this.put(new Map(this.masks.map((mask, frame) => [frame, new Uint8Array(mask.length)])));
  }

  undo() {
    this.travel(this.history.undo(this.masks));
  }

  redo() {
    this.travel(this.history.redo(this.masks));
  }

  travel(frames) {
    if (frames) this.redrawn();
  }

  redrawn() {
    this.paintCover();
    this.render();
    this.changed(true);
  }

  resize(by) {
    this.radius = Math.min(Math.max(this.width, this.height) / 2, Math.max(0.5, this.radius + by));
    this.render();
    this.changed(false);
  }

  move(x, y) {
    const inside = (value, side) => Math.min(side - 0.5, Math.max(0.5, Math.floor(value) + 0.5));
    this.at = [inside(this.at[0] + x, this.width), inside(this.at[1] + y, this.height)];
    this.render();
    this.changed(false);
  }

  press(wipe) {
    this.begin(this.at, wipe);
    this.end();
  }

  listen() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      return [x * this.width, y * this.height];
    };
    const on = (name, call) => this.canvas.addEventListener(name, call);
    on("pointerdown", (event) => {
      if (!event.isPrimary) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.begin(place(event), this.wiping || event.shiftKey || event.button === 2);
    });
    on("pointermove", (event) => {
      if (!event.isPrimary) return;
      if (this.stroke) {
        const between = event.getCoalescedEvents?.() ?? [];
        this.go((between.length ? between : [event]).map(place));
      } else {
        this.at = place(event);
        this.render();
      }
    });
    for (const name of ["pointerup", "pointercancel"]) on(name, () => this.end());
    for (const name of ["focus", "blur", "pointerleave"]) on(name, () => this.render());
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => this.key(event));
  }

  key(event) {
    const far = event.shiftKey ? Math.max(1, Math.round(this.radius)) : 1;
    const keys = {
      ArrowLeft: () => this.move(-far, 0), ArrowRight: () => this.move(far, 0),
      ArrowUp: () => this.move(0, -far), ArrowDown: () => this.move(0, far),
      " ": () => this.press(this.wiping), Delete: () => this.press(true), Backspace: () => this.press(true),
      "+": () => this.resize(1), "-": () => this.resize(-1),
      z: () => this.undo(), y: () => this.redo(),
    };
    const act = keys[event.key];
    const undoes = event.key === "z" || event.key === "y"; // with ctrl too, as elsewhere
    if (!act || event.altKey || ((event.ctrlKey || event.metaKey) && !undoes)) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}
