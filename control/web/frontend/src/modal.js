// One <dialog id="modal"> for all forms that open over a page. Whatever htmx swaps into it opens it; the browser
// keeps the focus inside, closes on Escape and gives the focus back. The server closes it with HX-Trigger: close-modal.
import { on } from "./dom.js";

const modal = () => document.getElementById("modal");
let changed = false;

function show() {
    const dialog = modal();
    if (!dialog.open) {
        changed = false;
        dialog.showModal();
    }
    const wrong = dialog.querySelector(".is-invalid:not([type=hidden])");
    const first = dialog.querySelector("[autofocus], input:not([type=hidden]):not([disabled]), select, textarea");
    (wrong ?? first)?.focus();
    // htmx would focus them once more a moment later: away from what is wrong, and from where somebody types by then.
    for (const field of dialog.querySelectorAll("[autofocus]")) field.removeAttribute("autofocus");
}

export function watchModal() {
    document.addEventListener("htmx:afterSwap", (event) => {
        if (event.detail.target.id === "modal") show();
    });
    document.body.addEventListener("close-modal", () => modal()?.close());
    on("click", "[data-close]", (button) => button.closest("dialog")?.close());
    on("input", "#modal", () => {
        changed = true;
    });
    // A press beside the content is on the dialog itself; it must not cost somebody a form half filled in.
    on("mousedown", "dialog.g-modal", (dialog, event) => {
        if (event.target === dialog && !(dialog.id === "modal" && changed)) dialog.close();
    });
    // "close" doesn't bubble, hence the capture.
    document.addEventListener("close", (event) => event.target.id === "modal" && event.target.replaceChildren(), true);
}
