// Plays the clips of a report: those on the screen, those of one length together.
const videos = [...document.querySelectorAll("video")];
const bar = document.querySelector(".bar"), button = document.querySelector("#toggle");
const calm = matchMedia("(prefers-reduced-motion: reduce)"), seen = new Set();
let playing = false;
const start = (video) => video.play().catch(() => {});
const play = (on) => {
  playing = on;
  button.textContent = on ? "Pause all" : "Play all";
  videos.forEach((video) => (on ? seen.has(video) && start(video) : video.pause()));
};
// Only what is on the screen plays: a page of a hundred clips stays light.
const watcher = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
  if (isIntersecting) { seen.add(target); if (playing) start(target); }
  else { seen.delete(target); target.pause(); }
}), { rootMargin: "80px" });
// Clips of one length follow the first of them that plays.
const align = () => {
  const leaders = new Map();
  for (const video of videos) {
    if (video.paused || video.seeking || !video.duration) continue;
    const length = video.duration.toFixed(2), leader = leaders.get(length);
    if (!leader) { leaders.set(length, video); continue; }
    const off = Math.abs(leader.currentTime - video.currentTime);
    if (Math.min(off, video.duration - off) > 0.06) video.currentTime = leader.currentTime;
  }
};
const settle = () => { videos.forEach((video) => { video.controls = calm.matches; }); play(!calm.matches); };
button.addEventListener("click", () => play(!playing));
document.querySelector("#speed").addEventListener("change", (event) =>
  videos.forEach((video) => { video.playbackRate = Number(event.target.value); }));
calm.addEventListener("change", settle);
videos.forEach((video) => watcher.observe(video));
bar.hidden = false;
settle();
setInterval(align, 500);
