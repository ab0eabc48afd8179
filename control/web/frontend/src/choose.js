// A long list of checkboxes becomes easy to choose from: a filter, a count, and what is chosen stands first.
import { all, fill } from "./dom.js";

function prepare(chooser) {
    const list = chooser.querySelector(".g-choose-list");
    const filter = chooser.querySelector("[data-choose-filter]");
    const count = chooser.querySelector("[data-choose-count]");
    const none = chooser.querySelector("[data-choose-none]");
    const items = [...list.children].filter((item) => item.querySelector("input[type=checkbox]"));
    const isChosen = (item) => item.querySelector("input[type=checkbox]").checked;

    const tell = () => {
        if (count) count.textContent = fill(count.dataset.chooseCount, { n: items.filter(isChosen).length, all: items.length });
    };
    const narrow = () => {
        const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
        for (const item of items) {
            const text = item.textContent.toLocaleLowerCase();
            item.hidden = !words.every((word) => text.includes(word));
        }
        if (none) none.hidden = items.some((item) => !item.hidden);
    };

    // Only once: an item that jumped away under the pointer would be a nuisance.
    list.append(...items.filter(isChosen), ...items.filter((item) => !isChosen(item)));
    tell();
    list.addEventListener("change", tell);
    filter?.addEventListener("input", narrow);
    filter?.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}

export function prepareChoosers(root) {
    for (const chooser of all(root, "[data-choose]:not([data-ready])")) {
        chooser.dataset.ready = "";
        prepare(chooser);
    }
}
