/* A button that copies the text beside it; without a clipboard (a page over plain http) it marks the text instead. */

import { toast } from "./page.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  const text = button.closest(".yaml").querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      toast("Copied");
    } catch {
      getSelection().selectAllChildren(text);
      toast("Marked; copy it with your keyboard");
    }
  });
}
document.documentElement.dataset.script = "ready";
