// htmx as our Content-Security-Policy wants it, and polls that stay out of the way: they pause in a hidden tab, and
// an answer is swapped only if it says something new and nobody is busy with that part. What has the focus and an id
// keeps the focus: htmx gives it to its successor.
import { prepareTimes } from "./times.js";

const lastAnswer = new WeakMap();

export function configureHtmx(htmx) {
    Object.assign(htmx.config, {
        allowEval: false,
        allowScriptTags: false,
        includeIndicatorStyles: false, // they would be an inline style; ours are in app.css
        selfRequestsOnly: true,
        historyCacheSize: 0, // pages may show secrets: none is kept in the browser's storage
        responseHandling: [
            { code: "204", swap: false },
            { code: "304", swap: false },
            { code: "[23]..", swap: true },
            { code: "422", swap: true }, // a form with its errors
            { code: "[45]..", swap: false, error: true },
        ],
    });
}

/** htmx asks for a poll without any event; so it does on load, but not of elements that poll. */
export function isPoll({ elt, requestConfig }) {
    const trigger = elt.getAttribute("hx-trigger") ?? "";
    return requestConfig !== undefined && !requestConfig.triggeringEvent && /\bevery\b/.test(trigger);
}

/** A menu is open in the part, words of it are selected, or a dialog waits that gives the focus back to it. */
function isBusy(part) {
    if (part.querySelector("details[data-menu][open]") || document.querySelector("dialog[open]")) return true;
    const selection = document.getSelection();
    return !selection.isCollapsed && selection.containsNode(part, true);
}

export function watchLiveParts() {
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (isPoll(event.detail) && document.hidden) event.preventDefault();
    });
    document.addEventListener("htmx:beforeSwap", (event) => {
        const { detail } = event;
        if (!isPoll(detail) || !detail.shouldSwap) return;
        if (isBusy(detail.target) || lastAnswer.get(detail.elt) === detail.serverResponse) detail.shouldSwap = false;
        else lastAnswer.set(detail.elt, detail.serverResponse);
    });
    document.addEventListener("htmx:afterSwap", (event) => {
        const { target } = event.detail;
        prepareTimes(target); // before anything is painted: polls answer with the moments themselves
        // Anything else that changes the part makes the remembered answer worthless.
        if (!isPoll(event.detail)) lastAnswer.delete(target);
    });
}
