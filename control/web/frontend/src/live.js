// htmx as our Content-Security-Policy wants it, and polls that stay out of the way: they pause in a hidden tab, and
// an answer is swapped only if it says something new and nobody has a menu open in that part.
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
function isPoll({ elt, requestConfig }) {
    const trigger = elt.getAttribute("hx-trigger") ?? "";
    return requestConfig !== undefined && !requestConfig.triggeringEvent && /\bevery\b/.test(trigger);
}

export function watchLiveParts() {
    document.addEventListener("htmx:beforeRequest", (event) => {
        if (isPoll(event.detail) && document.hidden) event.preventDefault();
    });
    document.addEventListener("htmx:beforeSwap", (event) => {
        const { detail } = event;
        if (!isPoll(detail) || !detail.shouldSwap) return;
        const inUse = detail.target.querySelector("details[data-menu][open]") !== null;
        if (inUse || lastAnswer.get(detail.elt) === detail.serverResponse) detail.shouldSwap = false;
        else lastAnswer.set(detail.elt, detail.serverResponse);
    });
    // Anything else that changes the part makes the remembered answer worthless.
    document.addEventListener("htmx:afterSwap", (event) => {
        if (!isPoll(event.detail)) lastAnswer.delete(event.detail.target);
    });
}
