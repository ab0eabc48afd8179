// Copy buttons, and the eye that shows a secret in its field.
import { on } from "./dom.js";

const SHOWN_FOR = 2000;

function textOf(button) {
    if (button.dataset.copyText !== undefined) return button.dataset.copyText;
    const source = document.getElementById(button.dataset.copy);
    return source.value ?? source.textContent.trim();
}

/** For plain http in a local network, where navigator.clipboard doesn't exist. */
function copyBySelection(text, near) {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    near.append(field); // inside an open dialog, nothing outside can be selected
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
}

async function copy(text, button) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        return copyBySelection(text, button.closest("dialog") ?? document.body);
    }
}

function say(button) {
    button.querySelector(".g-copied")?.remove();
    const note = document.createElement("span");
    note.className = "g-copied";
    note.role = "status";
    note.textContent = button.dataset.copied ?? "✓";
    button.append(note);
    setTimeout(() => note.remove(), SHOWN_FOR);
}

export function watchCopyButtons() {
    on("click", "[data-copy], [data-copy-text]", async (button) => {
        if (await copy(textOf(button), button)) {
            say(button);
            button.focus();
        }
    });
    on("click", "[data-reveal]", (button) => {
        const field = document.getElementById(button.dataset.reveal);
        const shown = field.type === "password";
        field.type = shown ? "text" : "password";
        button.setAttribute("aria-pressed", String(shown));
    });
}
