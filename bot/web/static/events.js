/* What happens in the engine, as it happens: import { subscribe } from "./events.js".
 *
 * subscribe(listener) calls listener({topic, conversation_id, ticket_id}) with topic message, turn, ticket, booking, simulator or model,
 * and listener({topic: "open"}) whenever the stream begins or comes back: whatever happened in between is then to be
 * fetched, because a page is rendered a moment before its stream opens. listener({topic: "down"}) says it was lost.
 * The return value ends the subscription. */

const NOTE_AFTER_MS = 3000; // a stream that is back sooner is not worth a word
const listeners = new Set();
let started = false;
let noteTimer = 0;

function note(down) {
  const element = document.getElementById("live-note");
  clearTimeout(noteTimer);
  if (!element) return;
  if (down) noteTimer = setTimeout(() => (element.hidden = false), NOTE_AFTER_MS);
  else element.hidden = true;
}

let wasDown = false;
function hear(event) {
  if (event.topic === "down" && wasDown) return; // the note's timer runs from the first failure
  if (event.topic === "down" || event.topic === "open") {
    wasDown = event.topic === "down";
    note(wasDown);
  }
  for (const listener of listeners) listener(event);
}

function shared() {
  const worker = new SharedWorker(new URL("./events-worker.js", import.meta.url), "parley-events");
  worker.port.addEventListener("message", ({ data }) => hear(data));
  worker.port.start();
  worker.port.postMessage("hello");
  addEventListener("pagehide", () => worker.port.postMessage("bye"));
  addEventListener("pageshow", (event) => event.persisted && worker.port.postMessage("hello"));
}

function direct() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => hear({ topic: "open" }));
  source.addEventListener("error", () => {
    hear({ topic: "down" });
    if (source.readyState === EventSource.CLOSED) setTimeout(direct, 5000);
  });
  for (const topic of ["message", "turn", "ticket", "booking", "simulator", "model"]) {
    source.addEventListener(topic, (event) => hear({ topic, ...JSON.parse(event.data) }));
  }
  addEventListener("pagehide", () => source.close(), { once: true });
}

export function subscribe(listener) {
  listeners.add(listener);
  if (!started) {
    started = true;
    if ("SharedWorker" in self) shared();
    else direct();
  }
  return () => listeners.delete(listener);
}
