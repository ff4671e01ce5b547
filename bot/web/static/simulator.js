/* The simulator without reloads: forms are sent in the background, what happens in the engine is fetched and put in place.
 * Without this script the same forms load the page anew. What is typed, opened and focused stays as it is. */

import { subscribe } from "./events.js";
import { fragment, parse, swap, toast } from "./page.js";

const PATIENCE_MS = 2000; // while something is awaited the page looks again by itself, should the stream be lost
const NEAR_END_PX = 120;

const texts = document.getElementById("texts");
const clock = document.getElementById("clock");
const composer = document.querySelector("[data-composer]");
const field = composer.elements.body;
const shopSays = document.querySelector("[data-shop-says]");
const picker = document.querySelector("[data-picker]");
const drawer = document.getElementById("drawer");
const toggle = document.querySelector("[data-drawer-toggle]");

// -- putting news in place --------------------------------------------------------------------------------------------

/* Each item's HTML as the server last gave it, so that only what changed is touched. */
const known = new WeakMap();
for (const item of document.querySelectorAll("[data-items] > li")) known.set(item, item.innerHTML);

function update(item, fresh) {
  const html = fresh.innerHTML;
  if (known.get(item) === html) return;
  const before = item.querySelector("details");
  const touched = item.dataset.touched !== undefined;
  const focused = item.contains(document.activeElement);
  item.className = fresh.className;
  item.replaceChildren(...fresh.childNodes);
  known.set(item, html);
  const after = item.querySelector("details");
  if (before && after && touched) after.open = before.open;
  if (focused) item.querySelector("summary, a, button")?.focus({ preventScroll: true });
}

function merge(list, fresh) {
  const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
  let place = list.firstElementChild;
  for (const item of [...fresh.children]) {
    const key = item.dataset.key;
    let mine = old.get(key);
    if (mine) {
      old.delete(key);
      update(mine, item);
    } else {
      mine = document.importNode(item, true);
      known.set(mine, mine.innerHTML);
    }
    if (mine === place) place = place.nextElementSibling;
    else list.insertBefore(mine, place);
  }
  for (const gone of old.values()) gone.remove();
}

function section(id, page) {
  const mine = document.getElementById(id);
  const fresh = page.getElementById(id);
  merge(mine.querySelector("[data-items]"), fresh.querySelector("[data-items]"));
  mine.querySelector(":scope > .empty")?.remove();
  const empty = fresh.querySelector(":scope > .empty");
  if (empty) mine.append(empty);
  return fresh;
}

const toEnd = () => (texts.scrollTop = texts.scrollHeight);
const atEnd = () => texts.scrollHeight - texts.scrollTop - texts.clientHeight < NEAR_END_PX;

let timer = 0;
function show(html, own) {
  const page = parse(html);
  if (!page.getElementById("texts")) return false;
  const follow = own || atEnd();
  const fresh = section("texts", page);
  section("engine", page);
  for (const part of document.querySelectorAll("[data-swap]")) swap(part, page.getElementById(part.id));
  setClock(page.getElementById("moved"));
  texts.dataset.conversation = fresh.dataset.conversation;
  clearTimeout(timer);
  if ("waiting" in fresh.dataset) timer = setTimeout(refresh, PATIENCE_MS);
  if (follow) toEnd();
  return true;
}

/* Says what went wrong; an answer without such words takes the last trouble away. */
function trouble(html) {
  const words = parse(html).querySelector("#trouble .problem, .problem");
  document.getElementById("trouble").replaceChildren(...(words ? [words] : []));
  return Boolean(words);
}

// -- asking the server ------------------------------------------------------------------------------------------------

/* Answers may overtake each other; an older one never replaces a newer one. */
let asked = 0;
let shown = 0;
async function ask(url, form) {
  const mine = ++asked;
  const answer = await fragment(url, form);
  if (mine > shown && show(answer.html, Boolean(form))) shown = mine;
  return answer;
}

function here() {
  const query = new URLSearchParams({ phone: composer.elements.phone.value, since: composer.elements.since.value });
  if (!drawer.hidden) query.set("drawer", "1");
  return `/simulator/?${query}`;
}

let looking = false;
let again = false;
async function refresh() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  do {
    again = false;
    const answer = await ask(here());
    if (answer.status === 401) trouble(answer.html);
  } while (again);
  looking = false;
}

async function send(url, form) {
  const answer = await ask(url, form);
  if (answer.status === 0) {
    toast("The engine does not answer. Check that it runs, then try again.", "red");
    return false;
  }
  return !trouble(answer.html) && answer.ok;
}

subscribe((event) => {
  const mine = texts.dataset.conversation;
  if (["open", "simulator"].includes(event.topic) || (event.conversation_id && (!mine || event.conversation_id === mine))) refresh();
});

// -- pressing and typing ----------------------------------------------------------------------------------------------

composer.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(composer);
  const body = field.value;
  field.value = "";
  field.focus();
  if (!(await send(composer.action, form)) && !field.value) field.value = body;
});

field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

shopSays.addEventListener("submit", (event) => {
  event.preventDefault();
  send(shopSays.action, new FormData(shopSays, event.submitter));
});

/* An entry somebody opened or closed by hand stays so. */
document.getElementById("engine").addEventListener("click", (event) => {
  const item = event.target.closest("summary")?.closest("li");
  if (item) item.dataset.touched = "";
});

document.addEventListener("click", (event) => {
  if (picker.open && !picker.contains(event.target)) picker.open = false;
});
picker.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !picker.open) return;
  picker.open = false;
  picker.querySelector("summary").focus();
});

// -- the drawer -------------------------------------------------------------------------------------------------------

function openDrawer(open) {
  drawer.hidden = !open;
  toggle.setAttribute("aria-expanded", String(open));
  history.replaceState(null, "", here());
}
toggle.addEventListener("click", (event) => {
  event.preventDefault();
  openDrawer(drawer.hidden);
});
toggle.addEventListener("keydown", (event) => {
  if (event.key !== " ") return; // it looks like a button, so it is pressed like one
  event.preventDefault();
  toggle.click();
});
drawer.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  openDrawer(false);
  toggle.focus();
});
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-quiet]");
  if (!form) return;
  event.preventDefault();
  const done = await send(form.action, new FormData(form, event.submitter));
  if (done && "empties" in form.dataset) form.reset();
  if (!done) document.getElementById("trouble").scrollIntoView({ block: "nearest" });
});

// -- the clock --------------------------------------------------------------------------------------------------------

let began = performance.now();
let start = Date.parse(clock.dateTime);
const words = new Intl.DateTimeFormat("en-US", { timeZone: clock.dataset.zone, hour: "numeric", minute: "2-digit" });
const tick = () => {
  clock.textContent = words.format(new Date(start + performance.now() - began)).replace(/\u202f/g, " ");
};
function setClock(told) {
  began = performance.now();
  start = Date.parse(told.dataset.now);
  document.getElementById("clock-date").textContent = told.dataset.date;
  tick();
}
setInterval(tick, 1000);

/* A reload goes on with the session that was begun, instead of beginning another. */
if (!new URLSearchParams(location.search).has("since")) history.replaceState(null, "", here());
toEnd();
if ("waiting" in texts.dataset) timer = setTimeout(refresh, PATIENCE_MS);
document.documentElement.dataset.script = "ready"; // from here on the page is live; until then its forms load it anew
