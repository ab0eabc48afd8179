// Small helpers that several modules share.

/** Every match below root, and root itself if it matches. */
export function* all(root, selector) {
    if (root.matches?.(selector)) yield root;
    yield* root.querySelectorAll(selector);
}

/** Calls `act(element, event)` when the event happens on or inside an element that matches. */
export function on(type, selector, act, options) {
    document.addEventListener(
        type,
        (event) => {
            const element = event.target instanceof Element ? event.target.closest(selector) : null;
            if (element) act(element, event);
        },
        options,
    );
}

/** Puts values for the {names} of a text that a template wrote. */
export function fill(text, values) {
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
