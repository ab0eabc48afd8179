// Menus are <details data-menu>, which open without us. This makes them behave as menus do: one open at a time,
// closed by Escape or a click elsewhere, arrow keys from item to item. Also the collapsing navigation of phones.
import { on } from "./dom.js";

const STEP = { ArrowDown: 1, ArrowUp: -1 };

function closeAllBut(kept) {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
        if (menu !== kept) menu.open = false;
    }
}

function onKey(menu, event) {
    if (!menu.open) return;
    if (event.key === "Escape") {
        menu.open = false;
        menu.querySelector("summary").focus();
        event.preventDefault(); // or a dialog around the menu would close too
    } else if (event.key in STEP) {
        const items = [...menu.querySelectorAll("a[href], button:not([disabled])")];
        const here = items.indexOf(document.activeElement);
        const next = here === -1 && event.key === "ArrowUp" ? items.length - 1 : here + STEP[event.key];
        items.at(next % items.length)?.focus();
        event.preventDefault();
    }
}

export function watchMenus() {
    document.addEventListener("click", (event) => {
        const element = event.target instanceof Element ? event.target : null;
        const menu = element?.closest("details[data-menu]");
        closeAllBut(menu);
        if (menu && element.closest(".dropdown-item")) menu.open = false;
    });
    on("keydown", "details[data-menu]", onKey);
    on("click", "[data-toggle]", (button) => {
        const shown = document.getElementById(button.dataset.toggle).classList.toggle("show");
        button.setAttribute("aria-expanded", String(shown));
    });
}
