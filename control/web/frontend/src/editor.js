// A textarea for YAML: line numbers, the wrong lines marked, Tab indents, Enter keeps the indentation. It stays a
// textarea, so undo, spell checkers, screen readers and forms without JavaScript work as ever.
import { all } from "./dom.js";

const INDENT = "  ";

/** Types as the user would, so that undo knows of it. */
function type(area, from, to, text) {
    area.setSelectionRange(from, to);
    const done = text ? document.execCommand("insertText", false, text) : document.execCommand("delete");
    if (!done) {
        area.setRangeText(text, from, to, "end");
        area.dispatchEvent(new Event("input", { bubbles: true }));
    }
}

function shift(area, outdent) {
    const { value, selectionStart, selectionEnd } = area;
    if (selectionStart === selectionEnd && !outdent) {
        type(area, selectionStart, selectionEnd, INDENT);
        return;
    }
    const from = value.lastIndexOf("\n", selectionStart - 1) + 1;
    const lines = value.slice(from, selectionEnd);
    const shifted = outdent ? lines.replace(/^ {1,2}/gm, "") : lines.replace(/^(?=.)/gm, INDENT);
    if (shifted === lines) return;
    type(area, from, selectionEnd, shifted);
    area.setSelectionRange(from, from + shifted.length);
}

function breakLine(area) {
    const { value, selectionStart, selectionEnd } = area;
    const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
    const deeper = /:\s*$/.test(line) ? INDENT : "";
    type(area, selectionStart, selectionEnd, `\n${/^ */.exec(line)[0]}${deeper}`);
}

function onKey(area, leaving, event) {
    if (event.ctrlKey || event.altKey || event.metaKey || area.readOnly) return leaving;
    if (event.key === "Escape" && !leaving) {
        event.preventDefault(); // the next Tab leaves the field; a second Escape closes the dialog
        return true;
    }
    if (event.key === "Tab" && !leaving) {
        event.preventDefault();
        shift(area, event.shiftKey);
    } else if (event.key === "Enter") {
        event.preventDefault();
        breakLine(area);
    }
    return event.key === "Shift" && leaving;
}

function number(area, gutter, wrong) {
    const count = area.value.split("\n").length;
    if (gutter.childElementCount === count) return;
    gutter.replaceChildren(
        ...Array.from({ length: count }, (_, index) => {
            const line = document.createElement("span");
            line.textContent = index + 1;
            line.classList.toggle("g-editor-wrong", wrong.includes(index + 1));
            return line;
        }),
    );
}

function prepare(area) {
    const wrong = (area.dataset.errorLines ?? "").split(" ").filter(Boolean).map(Number);
    const frame = document.createElement("div");
    const gutter = document.createElement("div");
    frame.className = "g-editor-frame";
    gutter.className = "g-editor-gutter";
    gutter.ariaHidden = "true";
    area.wrap = "off";
    area.before(frame);
    frame.append(gutter, area);

    let leaving = false;
    const renumber = () => number(area, gutter, wrong);
    area.addEventListener("input", renumber);
    area.addEventListener("scroll", () => {
        gutter.scrollTop = area.scrollTop;
    });
    area.addEventListener("keydown", (event) => {
        leaving = onKey(area, leaving, event);
    });
    area.addEventListener("blur", () => {
        leaving = false;
    });
    renumber();
    if (wrong.length) area.scrollTop = (area.scrollHeight / area.value.split("\n").length) * Math.max(0, Math.min(...wrong) - 4);
}

export function prepareEditors(root) {
    for (const area of all(root, "textarea[data-editor]:not([data-ready])")) {
        area.dataset.ready = "";
        prepare(area);
    }
}
