// Loaded in <head> and blocking, so that the page is painted once and in the right colours. The choice is kept in
// this browser; without one the system's preference counts, also when it changes while the page is open.
const KEY = "garrison-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen() {
    try {
        return localStorage.getItem(KEY) ?? "auto";
    } catch {
        return "auto"; // storage can be forbidden; the page still has to show
    }
}

function paint() {
    const choice = chosen();
    const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    document.documentElement.dataset.bsTheme = theme;
    document.documentElement.dataset.theme = choice;
}

function choose(choice) {
    try {
        localStorage.setItem(KEY, choice);
    } catch {
        // As above: then it holds until the page is left.
    }
    paint();
    if (chosen() !== choice) document.documentElement.dataset.bsTheme = choice;
}

document.documentElement.classList.add("js");
paint();
dark.addEventListener("change", paint);
addEventListener("storage", (event) => event.key === KEY && paint());
document.addEventListener("garrison:theme", (event) => choose(event.detail));
