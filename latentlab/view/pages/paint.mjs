// The page of `latentlab paint`: frames, masks and buttons here; filling and carrying masks at the program behind it.
import { Easel } from "./easel.mjs";

const ASKED = 200; // milliseconds between questions how far the work is
const AHEAD = 4; // frames that are fetched at a time
const BRIGHTER = 4; // times that a difference is shown

const facts = JSON.parse(document.getElementById("data").textContent);
const part = (name) => document.getElementById(name);
const frames = { source: [], result: [] }; // pictures, ready to be drawn
const canvas = part("easel");
canvas.style.setProperty("--shape", facts.width / facts.height);
const easel = new Easel(canvas, facts.width, facts.height, facts.count, told);
let shown = "paint", playing = null, job = null;

// Pictures

async function fetched(kind, run) {
  frames[kind] = [];
  let next = 0;
  const one = async () => {
    while (next < facts.count) {
      const frame = next++;
      const answer = await asked(`frames/${kind}/${frame}.png?run=${run}`);
      frames[kind][frame] = await createImageBitmap(await answer.blob());
      if (frame === easel.frame) show();
    }
  };
  await Promise.all(Array.from({ length: AHEAD }, one));
  document.body.dataset[kind] = run; // all are here
}

function show(frame = easel.frame) {
  part("frame").value = frame;
  part("where").value = `${frame + 1} / ${facts.count}`;
  easel.show(frame, (context) => {
    const { width, height } = canvas;
    const [before, after] = [frames.source[frame], frames.result[frame]];
    context.clearRect(0, 0, width, height);
    const below = shown === "after" ? after : before;
    if (below) context.drawImage(below, 0, 0, width, height);
    if (shown !== "difference" || !before || !after) return;
    context.globalCompositeOperation = "difference";
    context.drawImage(after, 0, 0, width, height);
    context.globalCompositeOperation = "color-dodge"; // divides by what is left of white
    context.fillStyle = `rgb(${Array(3).fill(255 * (1 - 1 / BRIGHTER))})`;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
  });
}

function look(at) {
  shown = at;
  document.querySelector(`[name=shown][value=${at}]`).checked = true;
  easel.shows = at === "paint";
  canvas.classList.toggle("still", !easel.shows);
  show();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => show((easel.frame + 1) % facts.count), 1000 / facts.fps) : null;
  part("play").textContent = on ? "Pause" : "Play";
  part("play").setAttribute("aria-pressed", on);
}

// Masks

function told() {
  const painted = easel.painted.length;
  part("painted").textContent = painted ? `painted on ${painted} of ${facts.count} frames` : "nothing is painted yet";
  part("radius").value = easel.radius;
}

function body() {
  const all = new Uint8Array(facts.count * facts.width * facts.height);
  easel.masks.forEach((mask, frame) => all.set(mask, frame * mask.length));
  return all;
}

async function takeMasks() {
  const bytes = new Uint8Array(await (await asked("mask.bin")).arrayBuffer());
  const size = facts.width * facts.height;
  easel.put(new Map(easel.masks.map((_, frame) => [frame, bytes.slice(frame * size, (frame + 1) * size)])));
}

// The program behind the page

async function asked(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { cache: "no-store", ...options });
  } catch {
    throw new Error("the program behind this page does not answer; start `latentlab paint` again");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

function say(text, wrong = false, lines = []) {
  part("said").textContent = text;
  part("said").classList.toggle("wrong", wrong);
  part("lines").replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
}

function busy(on) {
  for (const name of ["run", "propagate"]) if (part(name)) part(name).disabled = on;
  part("cancel").disabled = !on;
  part("progress").value = 0;
}

// Begins some work with the masks, waits for its end and says how it went.
async function work(address) {
  busy(true);
  try {
    job = await (await asked(address, { method: "POST", body: body() })).json();
    while (job.state === "running") {
      say(job.said);
      part("progress").value = job.share;
      await new Promise((done) => setTimeout(done, ASKED));
      job = await (await asked("job")).json();
    }
    if (job.state === "done" && job.kind === "propagate") await takeMasks();
    if (job.state === "done" && job.kind === "run") await results();
    say(job.said, job.state === "failed", job.lines);
  } catch (error) {
    say(error.message, true);
  }
  busy(false);
}

async function results() {
  await fetched("result", job.id);
  for (const choice of document.querySelectorAll("[name=shown]")) choice.disabled = false;
  part("files").hidden = false;
  for (const link of part("files").children) link.href = `${link.getAttribute("href").split("?")[0]}?run=${job.id}`;
  look("after");
}

async function act(doing) {
  try {
    await doing();
  } catch (error) {
    say(error.message, true);
  }
}

async function saveMask() {
  const file = await (await asked("mask.mkv", { method: "POST", body: body() })).blob();
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "mask.mkv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

// What a person does

for (const name of ["undo", "redo", "grow", "shrink", "invert", "wipe", "copy"]) {
  part(name).addEventListener("click", () => {
    if (shown !== "paint") look("paint");
    easel[name]();
  });
}
part("radius").max = Math.max(facts.width, facts.height) / 4;
part("radius").addEventListener("input", () => easel.resize(part("radius").valueAsNumber - easel.radius));
part("frame").addEventListener("input", () => {
  play(false);
  show(part("frame").valueAsNumber);
});
part("play").addEventListener("click", () => play(!playing));
part("propagate").addEventListener("click", () => {
  look("paint");
  const known = easel.byHand.size ? [...easel.byHand].sort((a, b) => a - b) : easel.painted;
  work(`propagate?painted=${known}`);
});
part("fill")?.addEventListener("submit", (event) => {
  event.preventDefault();
  work(`run?${new URLSearchParams(new FormData(event.target))}`);
});
part("cancel").addEventListener("click", () => act(() => asked("cancel", { method: "POST" })));
part("save").addEventListener("click", () => act(saveMask));
for (const choice of document.querySelectorAll("[name=shown]")) choice.addEventListener("change", () => look(choice.value));
for (const tool of document.querySelectorAll("[name=tool]")) {
  tool.addEventListener("change", () => (easel.wiping = tool.value === "wipe"));
}

told();
show(0);
act(() => fetched("source", 0));
window.paint = { easel, frames, show }; // for those who look in from the console
