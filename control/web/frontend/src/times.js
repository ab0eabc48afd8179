// <time datetime> becomes "3 minutes ago", with the moment itself on hover, and keeps up.
import { all } from "./dom.js";

const UNITS = [
    ["year", 31_557_600],
    ["month", 2_629_800],
    ["week", 604_800],
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
];
const JUST_NOW = 10; // seconds, either way: clocks differ
const REFRESH = 10_000;
const language = document.documentElement.lang || undefined;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });

function inWords(moment) {
    const seconds = (moment - Date.now()) / 1000;
    for (const [unit, length] of UNITS) {
        if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
    }
    return relative.format(Math.abs(seconds) < JUST_NOW ? 0 : Math.trunc(seconds), "second");
}

export function prepareTimes(root) {
    for (const element of all(root, "time[datetime]:not([data-absolute])")) {
        const moment = new Date(element.dateTime);
        if (Number.isNaN(moment.valueOf())) continue;
        const words = inWords(moment);
        if (element.textContent !== words) element.textContent = words;
        element.title ||= absolute.format(moment);
    }
}

export function watchTimes() {
    setInterval(() => document.hidden || prepareTimes(document), REFRESH);
    document.addEventListener("visibilitychange", () => document.hidden || prepareTimes(document));
}
