/* Correcting how a text was read without leaving the conversation: the menu opens in a dialog. Without this the link leads
 * to a page of its own. The thread itself changes when the engine says that something happened. */

import { fragment, parse, toast } from "./page.js";

const dialog = document.getElementById("teach-dialog");

addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-teach]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const answer = await fragment(link.href);
  if (!answer.ok) {
    toast(parse(answer.html).body.textContent.trim() || "Parley could not be reached. Try again.", "red");
    return;
  }
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "button quiet";
  cancel.textContent = "Leave it";
  cancel.addEventListener("click", () => dialog.close());
  const actions = document.createElement("div");
  actions.className = "actions";
  actions.append(cancel);
  dialog.replaceChildren(...parse(answer.html).body.childNodes, actions);
  dialog.showModal();
});

dialog.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fragment(event.target.action, new FormData(event.target, event.submitter));
  dialog.close();
  const words = parse(answer.html).body.textContent.trim();
  toast(words || "Parley could not be reached. Try again.", answer.ok ? "" : "red");
});
