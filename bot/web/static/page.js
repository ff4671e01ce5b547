/* Small things every live page needs: the form token, fetching fragments, swapping them, saying something in passing. */

export const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/* A short message that goes away by itself; it is read out, too. tone: "" or "red". */
export function toast(words, tone = "") {
  const box = document.getElementById("toasts");
  if (!box) return;
  const item = document.createElement("p");
  item.className = `toast ${tone}`.trim();
  item.textContent = words;
  box.append(item);
  setTimeout(() => item.remove(), 6000);
}

/* Fetch server-rendered HTML. Returns {ok, status, html, url}; status 0 means that nothing answered. */
export async function fragment(url, form = null) {
  try {
    const response = await fetch(url, {
      method: form ? "POST" : "GET",
      headers: { "X-Fragment": "1", ...(form ? { "X-CSRF-Token": csrf() } : {}) },
      body: form ? new URLSearchParams(form) : undefined,
      credentials: "same-origin",
    });
    return { ok: response.ok, status: response.status, html: await response.text(), url: response.url };
  } catch {
    return { ok: false, status: 0, html: "", url };
  }
}

/* Parse HTML without running anything in it. */
export const parse = (html) => new DOMParser().parseFromString(html, "text/html");

/* Put the new children into the old element and keep the focus where it was, by id. Unchanged elements stay as they are. */
export function swap(old, fresh) {
  if (!old || !fresh || old.innerHTML === fresh.innerHTML) return false;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceChildren(...fresh.childNodes);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  return true;
}
