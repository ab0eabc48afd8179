// Builds ../static/dist: bundles with content-hashed names, the icon sprite, and manifest.json, which names them.
//
// The folder is made afresh beside the old one and swapped in at the end, so a failed build leaves the last good
// one. Nothing in the output is loaded from another host; a reference to one fails the build.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { sprite } from "./icons.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static", "dist");
const fresh = `${target}.new`;

// Browsers that know <dialog>, light-dark() and :has(), which Tabler and our own style sheet use.
const BROWSERS = ["chrome123", "edge123", "firefox121", "safari17.5"];

async function bundle() {
    const result = await build({
        absWorkingDir: here,
        entryPoints: ["src/app.js", "src/app.css", "src/theme.js"],
        entryNames: "[name]-[hash]",
        assetNames: "[name]-[hash]",
        outdir: fresh,
        bundle: true,
        minify: true,
        format: "iife",
        target: BROWSERS,
        loader: { ".woff2": "file", ".svg": "dataurl" },
        legalComments: "linked",
        metafile: true,
        logLevel: "warning",
        // htmx keeps an eval for trigger filters and hx-on; htmx.config.allowEval is false and the CSP forbids it.
        logOverride: { "direct-eval": "silent" },
    });
    return Object.entries(result.metafile.outputs)
        .filter(([, output]) => output.entryPoint)
        .map(([path, output]) => [basename(output.entryPoint), relative(fresh, join(here, path))]);
}

function hashed(name, content) {
    const [stem, extension] = name.split(".");
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
    const file = `${stem}-${hash}.${extension}`;
    writeFileSync(join(fresh, file), content);
    return [name, file];
}

function refuseRemoteLoads() {
    const load = /(?:url\(\s*["']?|@import\s+["']|\b(?:src|href)\s*=\s*["']|\bimport\s*\(?\s*["']|\bfetch\(\s*["'])(?:https?:)?\/\//i;
    for (const file of readdirSync(fresh).filter((name) => /\.(css|js|svg)$/.test(name))) {
        const found = load.exec(readFileSync(join(fresh, file), "utf8"));
        if (found) throw new Error(`${file} loads from another host: ${found.input.slice(found.index, found.index + 80)}`);
    }
}

/** What is served to others carries its licence; Tabler's stands beside its style sheet (app-….css.LEGAL.txt). */
function licenses() {
    const packages = ["@fontsource-variable/inter", "@tabler/icons", "htmx.org"];
    const text = (name) => readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
    writeFileSync(join(fresh, "licenses.txt"), packages.map((name) => `${name}\n\n${text(name)}\n`).join("\n\n"));
}

function swapIn() {
    const old = `${target}.old`;
    rmSync(old, { recursive: true, force: true });
    try {
        renameSync(target, old);
    } catch (error) {
        if (error.code !== "ENOENT") throw error;
    }
    renameSync(fresh, target);
    rmSync(old, { recursive: true, force: true });
}

rmSync(fresh, { recursive: true, force: true });
mkdirSync(fresh, { recursive: true });
try {
    const entries = [
        ...(await bundle()),
        hashed("icons.svg", sprite()),
        hashed("favicon.svg", readFileSync(join(here, "src", "favicon.svg"))),
    ];
    licenses();
    refuseRemoteLoads();
    const manifest = Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)));
    writeFileSync(join(fresh, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    swapIn();
} catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    console.error(`frontend: ${error.message}`);
    process.exitCode = 1;
}
