/* The Models page while something goes on: its parts as they change, and the seconds of the step under way. */

import { subscribe } from "./events.js";
import { fragment, parse, swap } from "./page.js";

const desk = document.getElementById("desk");
let drawn = performance.now();
let asking = false;
let again = false;

/* One question at a time; whatever is heard meanwhile is asked for once more. */
async function renew() {
  again = true;
  if (asking) return;
  asking = true;
  while (again) {
    again = false;
    const answer = await fragment("/console/models");
    if (answer.status === 401) location.reload();
    if (answer.ok) show(answer.html);
  }
  asking = false;
}

function show(html) {
  const open = desk.querySelector("details")?.open;
  const scrolled = desk.querySelector(".wide")?.scrollLeft ?? 0;
  if (!swap(desk, parse(html).body)) return;
  drawn = performance.now();
  if (open && desk.querySelector("details")) desk.querySelector("details").open = true;
  if (desk.querySelector(".wide")) desk.querySelector(".wide").scrollLeft = scrolled;
}

setInterval(() => {
  for (const item of desk.querySelectorAll("[data-elapsed]")) {
    item.textContent = `${Number(item.dataset.elapsed) + Math.floor((performance.now() - drawn) / 1000)} s`;
  }
}, 1000);

subscribe(({ topic }) => (topic === "model" || topic === "open") && renew());
document.documentElement.dataset.script = "ready";
