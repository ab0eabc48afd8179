// The buttons that choose light, dark or automatic. theme.js, loaded before paint, keeps and applies the choice.
import { all, on } from "./dom.js";

export function prepareThemeButtons(root) {
    for (const button of all(root, "[data-theme-set]")) {
        const is = button.dataset.themeSet === document.documentElement.dataset.theme;
        button.setAttribute("aria-pressed", String(is));
    }
}

export function watchThemeButtons() {
    on("click", "[data-theme-set]", (button) => {
        document.dispatchEvent(new CustomEvent("garrison:theme", { detail: button.dataset.themeSet }));
        prepareThemeButtons(document);
    });
}
