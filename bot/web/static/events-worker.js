/* One event stream for all pages of a browser: HTTP/1.1 allows six connections a host, and each page would hold one. */
const ports = new Set();
let source = null;
let state = "connecting";

const tell = (message) => {
  for (const port of ports) port.postMessage(message);
};
const become = (next) => {
  state = next;
  tell({ topic: next });
};

function connect() {
  source = new EventSource("/events");
  source.addEventListener("open", () => become("open"));
  source.addEventListener("error", () => {
    become("down");
    // An answer that is no stream (logged out, a proxy's error page) ends the browser's own retries.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => ports.size && connect(), 5000);
  });
  for (const topic of ["message", "turn", "ticket", "booking", "simulator", "model"]) {
    source.addEventListener(topic, (event) => tell({ topic, ...JSON.parse(event.data) }));
  }
}

self.addEventListener("connect", (event) => {
  const port = event.ports[0];
  port.addEventListener("message", ({ data }) => {
    if (data === "bye") ports.delete(port);
    if (data === "hello") ports.add(port);
    if (!ports.size) {
      source?.close();
      source = null;
    } else if (source === null || source.readyState === EventSource.CLOSED) {
      connect();
    } else if (data === "hello") {
      port.postMessage({ topic: state });
    }
  });
  port.start();
});
