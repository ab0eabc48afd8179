// Short notes over the page: from the server with HX-Trigger: {"toast": {"text", "tone"}}, and when a request of
// htmx failed. A failure is told in the words of the error page, or in those at #toasts. A poll that fails says so
// once, until one succeeds again.
import { fill } from "./dom.js";
import { isPoll } from "./live.js";

const SHOWN_FOR = 6000;
const TONES = new Set(["success", "info", "warning", "danger"]);
const standing = new Map();
const ofPolls = new Set();

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

function showFailure(text, detail) {
    show(text, "danger");
    if (isPoll(detail)) ofPolls.add(text);
}

function clearFailuresOfPolls() {
    for (const text of ofPolls) standing.get(text)?.();
    ofPolls.clear();
}

/** What an error page says, on one line. */
function wordsOf(page) {
    const parts = new DOMParser().parseFromString(page, "text/html").querySelectorAll(".empty-title, .empty-subtitle");
    return [...parts].map((part) => part.textContent.trim().replace(/[^.?!]$/, "$&.")).join(" ");
}

export function watchToasts() {
    const words = () => document.getElementById("toasts")?.dataset ?? {};
    document.addEventListener("toast", (event) => show(event.detail.text ?? event.detail.value, event.detail.tone));
    document.addEventListener("htmx:sendError", (event) => showFailure(words().unreachable, event.detail));
    document.addEventListener("htmx:responseError", ({ detail }) => {
        const { status, responseText } = detail.xhr;
        showFailure(wordsOf(responseText) || fill(words().failed ?? "", { status }), detail);
    });
    // Whatever the answer was, it is "loaded".
    document.addEventListener("htmx:afterOnLoad", ({ detail }) => detail.xhr.status < 400 && clearFailuresOfPolls());
}
