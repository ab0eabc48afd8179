// Forms: a button that has been pressed says so and can't be pressed twice; fields that another field makes
// meaningless are hidden and not sent (`data-show-when`: `name=value|value`, or `name^=prefix|prefix`).
import { all } from "./dom.js";

function busy(button, is) {
    button?.classList.toggle("btn-loading", is);
}

function valueOf(form, name) {
    const control = form.elements.namedItem(name);
    if (control instanceof HTMLInputElement && control.type === "checkbox") return control.checked ? control.value : "";
    return control?.value ?? "";
}

function update(part) {
    const form = part.closest("form");
    if (!form) return;
    const [, name, begins, values] = /^([^=^]+)(\^?)=(.*)$/.exec(part.dataset.showWhen);
    const value = valueOf(form, name);
    const shown = values.split("|").some((each) => (begins ? value.startsWith(each) : value === each));
    part.hidden = !shown;
    for (const control of part.querySelectorAll("input, select, textarea")) control.disabled = !shown;
}

export function prepareDependentFields(root) {
    for (const part of all(root, "[data-show-when]")) update(part);
}

export function watchForms() {
    // What depends on the beginning of a text follows while it is typed.
    for (const type of ["change", "input"]) {
        document.addEventListener(type, (event) => {
            const form = event.target.form;
            if (form) prepareDependentFields(form);
        });
    }
    document.addEventListener("submit", (event) => {
        if (event.defaultPrevented) return; // htmx has taken it
        const { submitter } = event;
        if (submitter?.classList.contains("btn-loading")) event.preventDefault();
        else if (event.target.method !== "dialog") busy(submitter, true);
    });
    for (const [type, is] of [["htmx:beforeRequest", true], ["htmx:afterRequest", false]]) {
        document.addEventListener(type, (event) => {
            const { elt } = event.detail;
            if (elt.tagName === "FORM") busy(elt.querySelector("button:not([type=button])"), is);
            else if (elt.matches("button.btn, a.btn")) busy(elt, is);
        });
    }
    // Back to a page that the browser kept: its button was left pressed.
    addEventListener("pageshow", (event) => {
        if (event.persisted) for (const button of document.querySelectorAll(".btn-loading")) busy(button, false);
    });
}
