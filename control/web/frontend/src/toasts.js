// Short notes over the page: from the server with HX-Trigger: {"toast": {"text", "tone"}}, and when a request of
// htmx failed. The words for failures stand at #toasts. A poll that fails says so once, until one succeeds again.
import { fill } from "./dom.js";

const SHOWN_FOR = 6000;
const TONES = new Set(["success", "info", "warning", "danger"]);
const standing = new Map();

function show(text, tone = "info") {
    const region = document.getElementById("toasts");
    if (!region || !text || standing.has(text)) return;
    const note = document.createElement("div");
    note.className = `g-toast alert alert-${TONES.has(tone) ? tone : "info"}`;
    note.textContent = text;
    // In an open dialog's layer, or it would lie below the backdrop.
    (document.querySelector("dialog[open] .modal-content") ?? region).append(note);
    const remove = () => {
        note.remove();
        standing.delete(text);
    };
    standing.set(text, remove);
    note.addEventListener("click", remove);
    if (tone !== "danger") setTimeout(remove, SHOWN_FOR);
}

function clearFailures() {
    const { unreachable } = document.getElementById("toasts")?.dataset ?? {};
    standing.get(unreachable)?.();
}

export function watchToasts() {
    const words = () => document.getElementById("toasts")?.dataset ?? {};
    document.addEventListener("toast", (event) => show(event.detail.text ?? event.detail.value, event.detail.tone));
    document.addEventListener("htmx:sendError", () => show(words().unreachable, "danger"));
    document.addEventListener("htmx:responseError", (event) =>
        show(fill(words().failed ?? "", { status: event.detail.xhr.status }), "danger"),
    );
    document.addEventListener("htmx:afterOnLoad", clearFailures);
}
