/* Keeps the console current without a reload. The page works without this: forms post, links lead.
 *
 * Something happened -> the page's panes are fetched as HTML and every data-live part that differs is replaced. The
 * composer is left alone unless its state changes, and then what was typed is carried over. */

import { subscribe } from "./events.js";
import { measure, outgoing } from "./measure.js";
import { fragment, parse, swap, toast } from "./page.js";

const main = document.getElementById("main");
const announcer = document.getElementById("announcer");
const closeDialog = document.getElementById("close-dialog");
const helpDialog = document.getElementById("help-dialog");

const part = (root, name) => root.querySelector(`[data-live="${name}"]`);
const pane = () => document.getElementById("conversation");
const replyBox = () => document.getElementById("reply");

/* -- swapping ---------------------------------------------------------------------------------------------------- */

/* `typed`: what the writer has in the box and wants to keep; null for what the server put there. */
function replaceComposer(fresh, typed) {
  const old = part(main, "composer");
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(fresh);
  const box = replyBox();
  if (typed !== null) box.value = typed;
  if (hadFocus) (box.disabled ? document.getElementById("thread") : box).focus({ preventScroll: true });
  keepDraft();
  size();
}

function swapThread(fresh) {
  const old = part(main, "thread");
  const atEnd = old.scrollHeight - old.scrollTop - old.clientHeight < 80;
  const seen = Number(old.dataset.lastSeq);
  if (!swap(old, fresh)) return;
  old.dataset.lastSeq = fresh.dataset.lastSeq;
  if (atEnd) old.scrollTop = old.scrollHeight;
  const news = [...old.querySelectorAll('.text[data-author="contact"]')].filter((item) => Number(item.dataset.seq) > seen);
  if (news.length) {
    announcer.textContent = news.map((item) => `New text: ${item.querySelector(".bubble").lastChild.textContent}`).join(" ");
    if (!atEnd) toast("New text below");
  }
}

/* `sent`: the words of our own reply this is the answer to; then its composer, empty or with the reason, is the one to
 * show, unless the writer has gone on writing. */
function show(html, sent = null) {
  const fresh = parse(html);
  const news = fresh.getElementById("conversation");
  if (!news) return false;
  const same = news.dataset.conversation === pane().dataset.conversation;
  const waitingBefore = main.querySelectorAll(".ticket.unread").length;
  const list = main.querySelector(".tickets");
  const scrolled = list ? list.scrollTop : 0;
  swap(part(main, "list"), part(fresh, "list"));
  const newList = main.querySelector(".tickets");
  if (newList) newList.scrollTop = scrolled;
  const waiting = main.querySelectorAll(".ticket.unread").length;
  if (waiting > waitingBefore) announcer.textContent = `${waiting} waiting for an answer`;
  if (!same || !pane().dataset.conversation) return true;
  pane().dataset.ticket = news.dataset.ticket;
  swap(part(main, "head"), part(fresh, "head"));
  swap(part(main, "contact"), part(fresh, "contact"));
  swapThread(part(fresh, "thread"));
  const composer = part(fresh, "composer");
  const now = replyBox().value;
  if (sent !== null) replaceComposer(composer, now === sent ? null : now);
  else if (composer.dataset.state !== part(main, "composer").dataset.state) replaceComposer(composer, now);
  return true;
}

let fetching = false;
let again = false;
async function refresh() {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  const answer = await fragment(location.pathname + location.search);
  fetching = false;
  if (answer.status === 401) loggedOut();
  else if (answer.ok) show(answer.html);
  if (again) {
    again = false;
    refresh();
  }
}

let soon = 0;
function refreshSoon() {
  clearTimeout(soon);
  soon = setTimeout(refresh, 60);
}

let told = false;
function loggedOut() {
  if (told) return;
  told = true;
  const note = document.getElementById("live-note");
  note.textContent = "You are logged out. What you typed is still here; ";
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = "log in again";
  link.target = "_blank";
  note.append(link, ".");
  note.id = "logged-out";
  note.hidden = false;
}

/* -- writing ----------------------------------------------------------------------------------------------------- */

function size() {
  const box = replyBox();
  const place = main.querySelector("[data-size]");
  if (!box || !place) return;
  const words = outgoing(box.value, box.dataset.added);
  if (!words) {
    place.textContent = "";
    place.className = "";
    return;
  }
  const { encoding, units, parts, limit } = measure(words);
  const many = parts === 1 ? "1 part" : `${parts} parts`;
  const added = box.dataset.added && words.endsWith(box.dataset.added) && !box.value.trim().endsWith(box.dataset.added);
  const odd = encoding === "UCS-2" ? oddOnes(words) : "";
  const most = Number(box.maxLength);
  place.textContent =
    [...words].length > most
      ? `${[...words].length - most} characters too many`
      : `${many}, ${units} of ${limit}, ${encoding}${odd}${added ? `; “${box.dataset.added}” is added` : ""}`;
  place.className = [...words].length > most ? "red" : parts > 2 ? "amber" : "";
}

/* The characters that make a text dearer, so that whoever typed them can choose others. */
function oddOnes(words) {
  const odd = [...new Set([...words].filter((char) => measure(char).encoding === "UCS-2"))];
  return ` because of ${odd.slice(0, 3).join(" ")}${odd.length > 3 ? " …" : ""}`;
}

let sending = false;
async function send(form) {
  if (sending) return;
  const box = replyBox();
  if (box && form.dataset.act === "reply" && !box.value.trim()) {
    box.focus();
    return;
  }
  sending = true;
  const button = form.querySelector("button:not([type=button])");
  button?.setAttribute("aria-disabled", "true");
  const words = form.dataset.act === "reply" ? box.value : null;
  const answer = await fragment(form.action, new FormData(form));
  sending = false;
  button?.removeAttribute("aria-disabled");
  if (answer.status === 0) toast("Parley could not be reached. Nothing was lost; try again.", "red");
  else if (answer.status === 401) loggedOut();
  else if (!show(answer.html, words)) {
    toast(parse(answer.html).body.textContent.trim() || "That did not work. Reload the page and try again.", "red");
  } else if (!answer.ok && form.dataset.act !== "reply") {
    toast(parse(answer.html).querySelector(".problem, .refusal")?.textContent.trim() ?? "That did not work.", "red");
  }
  // The button that was pressed may be gone; whoever works by keyboard goes on from the conversation.
  if (document.activeElement === document.body) document.getElementById("thread")?.focus({ preventScroll: true });
}

/* What is typed outlives going to another conversation and back, and a reload; the browser forgets it with the tab. */
const draftName = () => `parley-draft-${pane().dataset.conversation}`;
function keepDraft() {
  try {
    if (replyBox().value) sessionStorage.setItem(draftName(), replyBox().value);
    else sessionStorage.removeItem(draftName());
  } catch {
    /* storage is off */
  }
}
function restoreDraft() {
  const box = replyBox();
  if (!box || box.value) return;
  try {
    box.value = sessionStorage.getItem(draftName()) ?? "";
  } catch {
    /* storage is off */
  }
}

addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.act) return;
  event.preventDefault();
  if (form.dataset.act === "close" && !closeDialog.open) closeDialog.showModal();
  else send(form);
});
document.getElementById("close-now").addEventListener("click", () => {
  closeDialog.close();
  const form = main.querySelector('form[data-act="close"]');
  if (form) send(form);
});
for (const button of document.querySelectorAll("[data-dismiss]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
addEventListener("input", (event) => {
  if (event.target !== replyBox()) return;
  keepDraft();
  size();
});

/* -- keys -------------------------------------------------------------------------------------------------------- */

function step(by) {
  const rows = [...main.querySelectorAll(".ticket")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const next = at < 0 ? 0 : at + by;
  if (rows[next]) location.href = rows[next].href;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  r: () => replyBox()?.focus(),
  e: () => main.querySelector('form[data-act="close"]') && closeDialog.showModal(),
  t: () => document.getElementById("take-over")?.click(),
  a: () => main.querySelector('form[data-act="claim"]')?.requestSubmit(),
  "/": () => document.getElementById("search").focus(),
  "?": () => helpDialog.showModal(),
};

addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.matches("input, textarea, select");
  if (typing && event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target === replyBox()) {
    event.preventDefault();
    part(main, "composer").requestSubmit();
  }
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

/* -- starting ---------------------------------------------------------------------------------------------------- */

const scroller = part(main, "thread");
if (scroller) scroller.scrollTop = scroller.scrollHeight;
main.querySelector(".ticket[aria-current]")?.scrollIntoView({ block: "nearest" });
restoreDraft();
size();
subscribe(({ topic }) => {
  if (topic === "down") return;
  refreshSoon();
});
setInterval(() => document.visibilityState === "visible" && refresh(), 30_000); // waiting times grow by themselves
addEventListener("visibilitychange", () => document.visibilityState === "visible" && refreshSoon());
document.documentElement.dataset.script = "ready"; // from here on the page is live; until then its forms load it anew
