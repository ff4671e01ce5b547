/* The review queue by keyboard and without reloads. The page works without this: forms post, links lead. */

import { fragment, parse, toast } from "./page.js";

const announcer = document.getElementById("announcer");
const help = document.getElementById("help-dialog");
const panes = () => document.getElementById("panes");
const by = (id) => document.getElementById(id);

function show(answer, keep) {
  const fresh = parse(answer.html).getElementById("panes");
  if (!fresh) {
    const words = parse(answer.html).body.textContent.trim();
    toast(words || "Parley could not be reached. Nothing was lost; try again.", "red");
    return;
  }
  const scrolled = by("lines")?.scrollTop ?? 0;
  panes().replaceWith(fresh);
  if (by("lines")) by("lines").scrollTop = scrolled;
  // A label that was refused belongs to no address; anything else does, so that a reload shows the same.
  if (answer.ok && keep) history[keep](null, "", answer.url);
  document.getElementById("main").classList.toggle("has-text", new URL(location.href).searchParams.has("text"));
  dress();
  by("text").scrollTop = 0;
  by("lines")?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  announcer.textContent = [by("told")?.querySelector("p").textContent, by("problem")?.textContent, by("text").querySelector(".heard")?.textContent]
    .filter(Boolean).map((words) => words.trim()).join(" Next: ");
  (by("move") ?? by("problem") ? by("move") ?? by("example") : null)?.focus({ preventScroll: true });
}

/* What only a script makes useful, and what only its absence does. */
function dress() {
  for (const item of document.querySelectorAll("[data-unscripted]")) item.hidden = true;
  if (by("help")) by("help").hidden = false;
}

let busy = false;
async function go(url, form = null, keep = "pushState") {
  if (busy) return;
  busy = true;
  panes().setAttribute("aria-busy", "true");
  const answer = await fragment(url, form);
  busy = false;
  if (answer.status === 401) location.reload();
  else show(answer, keep);
  panes().removeAttribute("aria-busy");
}

addEventListener("click", (event) => {
  const link = event.target.closest?.("#panes a");
  if (event.target.closest?.("#help")) help.showModal();
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.hasAttribute("download")) return;
  if (new URL(link.href).pathname !== location.pathname) return;
  event.preventDefault();
  go(link.href);
});
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id === "search-form") {
    event.preventDefault();
    go(`${form.action}?${new URLSearchParams(new FormData(form))}`);
  } else if (form.dataset.act) {
    event.preventDefault();
    go(form.action, new FormData(form, event.submitter), "replaceState");
  }
});
addEventListener("change", (event) => event.target.id === "days" && event.target.form.requestSubmit());
addEventListener("popstate", () => go(location.href, null, null));
for (const button of document.querySelectorAll("[data-dismiss]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/* -- keys -------------------------------------------------------------------------------------------------------- */

function step(way) {
  const lines = [...document.querySelectorAll(".line")];
  const at = lines.findIndex((line) => line.hasAttribute("aria-current"));
  const next = lines[at < 0 ? 0 : at + way];
  if (next) go(next.href);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  s: () => by("skip")?.click(),
  u: () => (by("undo") ?? by("take-back"))?.click(),
  e: () => by("example")?.focus(),
  o: () => by("other")?.focus(),
  "/": () => by("search").focus(),
  "?": () => help.showModal(),
  Enter: () => (by("move") ?? by("suggestion-1"))?.click(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const inside = event.target instanceof Element ? event.target : document.body;
  if (inside.matches("input, textarea, select")) {
    if (event.key === "Escape") inside.blur();
    // An example is one line; Enter accepts it.
    if (event.key === "Enter" && inside.id === "example" && !event.isComposing) {
      event.preventDefault();
      KEYS.Enter();
    }
    if (event.key === "Enter" && inside.id === "other") {
      event.preventDefault();
      by("other-add").click();
    }
    return;
  }
  if (/^[1-9]$/.test(event.key)) by(`suggestion-${event.key}`)?.focus();
  else if (event.key === "Enter" && inside.matches("button, a, summary")) return;
  else if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

dress();
by("lines")?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
document.documentElement.dataset.script = "ready";
