/* Loaded in the head before anything is painted, so that a remembered theme never flashes. */
(() => {
  const root = document.documentElement;
  const KEY = "parley-theme";
  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is off: the system's theme stands
    }
  };
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      const words = dark() ? "Use the light theme" : "Use the dark theme";
      button.setAttribute("aria-label", words);
      button.title = words;
      button.hidden = false;
    }
  };
  const kept = read();
  if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  root.classList.add("js");
  addEventListener("DOMContentLoaded", label);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    root.dataset.theme = event.newValue ?? "";
    label();
  });
  addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-switch]")) return;
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch {
      /* it holds for this page */
    }
    label();
  });
})();
