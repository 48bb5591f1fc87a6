// Puts a page into one file, with its style, its scripts and its WebAssembly:
//   node build.mjs page/index.html MODULE.wasm OUT.html
// A file that is opened from a disk may load no modules and fetch nothing, so that all must be in it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [page, module, out] = process.argv.slice(2);
if (out === undefined) {
    console.error("usage: node build.mjs page/index.html MODULE.wasm OUT.html");
    process.exit(2);
}
const beside = (name) => readFileSync(join(dirname(page), name), "utf8");
const built = readFileSync(page, "utf8")
    .replace(/<link rel="stylesheet" href="(.+?)">/g, (_, name) => `<style>\n${beside(name)}</style>`)
    .replace(/<script src="(.+?)"><\/script>/g, (_, name) => `<script>\n${beside(name)}</script>`)
    .replace("<!-- module -->", () => readFileSync(module).toString("base64"));
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, built);
console.log(`${out}: ${built.length} bytes`);
