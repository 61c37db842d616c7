// Rating of clips: by clicks and keys, to a file or to the command that shows the page.
const cards = [...document.querySelectorAll("article")], said = {}, said_by = document.querySelector("#said");
const post = document.body.dataset.post, batch = document.body.dataset.batch, save = document.querySelector("#save");
const words = { 1: "liked", 0: "not liked" };
const rest = () => cards.filter((card) => !(card.id in said)).length;
const show = (text) => { said_by.textContent = text; };
const table = () => "clip,liked\n" + Object.entries(said).map(([name, liked]) => `${name},${liked}\n`).join("");
const wait = async () => {  // until the next batch is drawn
  const state = await fetch("state").then((answer) => answer.json()).catch(() => ({}));
  if (state.batch !== undefined && String(state.batch) !== batch) location.reload();
  else if (state.end) show(state.end);
  else setTimeout(wait, 1000);
};
const send = async () => {
  const answer = await fetch("ratings", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(said) })
    .catch(() => ({ ok: false }));
  if (!answer.ok) show("The ratings did not get through; is the command still running?");
  else if (!rest()) { show("All rated. The next batch is being drawn."); wait(); }
};
const rate = (card, liked) => {
  if (liked === null) delete said[card.id]; else said[card.id] = liked;
  card.dataset.said = liked === null ? "" : words[liked];
  card.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.value) === liked)));
  show(rest() ? `${rest()} of ${cards.length} to rate` : "All rated.");
  if (post && liked !== null) send();
  const next = cards.slice(cards.indexOf(card) + 1).find((other) => !(other.id in said));
  if (liked !== null && next) next.focus();
};
cards.forEach((card) => card.querySelectorAll("button").forEach((button) =>
  button.addEventListener("click", () => rate(card, Number(button.value)))));
document.addEventListener("keydown", (event) => {
  const at = cards.indexOf(document.activeElement.closest("article")), here = cards[at];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (step) { event.preventDefault(); cards[(Math.max(at, step < 0 ? 0 : -1) + step + cards.length) % cards.length].focus(); }
  else if (here && event.key in { l: 1, d: 1, u: 1 }) { event.preventDefault(); rate(here, { l: 1, d: 0, u: null }[event.key]); }
});
if (save) save.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "ratings.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
for (const card of cards) {
  if (card.dataset.before) rate(card, Number(card.dataset.before));
  const video = card.querySelector("video");
  if (video && !matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
}
if (cards.length) cards[0].focus();
