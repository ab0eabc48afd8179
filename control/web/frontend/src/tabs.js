// Tabs after the ARIA pattern. Without JavaScript the sections stand one under the other and the tabs are links.
import { all } from "./dom.js";

let lastChosen = location.hash; // so that a part that is swapped comes back as it was left

function prepare(set) {
    const tabs = [...set.querySelectorAll("[role=tablist] a")];
    const panel = (tab) => document.getElementById(tab.hash.slice(1));
    const select = (chosen) => {
        for (const tab of tabs) {
            const is = tab === chosen;
            tab.classList.toggle("active", is);
            tab.setAttribute("aria-selected", String(is));
            tab.tabIndex = is ? 0 : -1;
            panel(tab).hidden = !is;
        }
    };
    const choose = (chosen) => {
        lastChosen = chosen.hash;
        select(chosen);
    };
    for (const tab of tabs) {
        tab.role = "tab";
        tab.parentElement.role = "presentation";
        tab.setAttribute("aria-controls", tab.hash.slice(1));
        panel(tab).role = "tabpanel";
        panel(tab).tabIndex = 0;
        tab.addEventListener("click", (event) => {
            event.preventDefault();
            choose(tab);
        });
        tab.addEventListener("keydown", (event) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (!step) return;
            event.preventDefault();
            const next = tabs.at((tabs.indexOf(tab) + step) % tabs.length);
            choose(next);
            next.focus();
        });
    }
    select(tabs.find((tab) => tab.hash === lastChosen) ?? tabs.find((tab) => tab.classList.contains("active")) ?? tabs[0]);
}

export function prepareTabs(root) {
    for (const set of all(root, "[data-tabs]:not([data-ready])")) {
        set.dataset.ready = "";
        prepare(set);
    }
}
