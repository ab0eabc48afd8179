// The icon sprite: one <symbol> for each icon that a template names as icon("name"), or src/icons.txt lists because
// its name is chosen at run time. An unknown name fails the build and says where it stands.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "..");
const icons = join(here, "node_modules", "@tabler", "icons", "icons");
const list = join(here, "src", "icons.txt");
const USE = /\bicon\(\s*["']([a-z0-9-]+)["']/g;
const FILLED = "-filled";

function* sources(folder) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory() && !["frontend", "static", "__pycache__"].includes(entry.name)) yield* sources(path);
        else if ([".html", ".py"].includes(extname(entry.name))) yield path;
    }
}

/** Name to the file that asks for it first. */
function wanted() {
    const names = new Map();
    const note = (name, file) => names.has(name) || names.set(name, relative(web, file));
    for (const file of sources(web)) {
        for (const [, name] of readFileSync(file, "utf8").matchAll(USE)) note(name, file);
    }
    for (const line of readFileSync(list, "utf8").split("\n")) {
        const name = line.replace(/#.*/, "").trim();
        if (name) note(name, list);
    }
    return new Map([...names].sort());
}

function symbol(name, askedBy) {
    const filled = name.endsWith(FILLED);
    const file = filled ? join(icons, "filled", `${name.slice(0, -FILLED.length)}.svg`) : join(icons, "outline", `${name}.svg`);
    if (!existsSync(file)) throw new Error(`${askedBy} asks for the icon "${name}", which Tabler doesn't have`);
    const shapes = readFileSync(file, "utf8")
        .replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "")
        .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none" ?\/>/, "")
        .replace(/>\s+</g, "><")
        .trim();
    // No stroke-width: the class "icon" sets it, and what a symbol says itself would win over that.
    const paint = filled
        ? 'fill="currentColor" stroke="none"'
        : 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round"';
    return `<symbol id="${name}" viewBox="0 0 24 24" ${paint}>${shapes}</symbol>`;
}

/** The sprite as text. */
export function sprite() {
    const symbols = [...wanted()].map(([name, askedBy]) => symbol(name, askedBy));
    return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}
