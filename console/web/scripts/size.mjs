// Fails if a first visit loads more than 500 KiB gzip, whichever page it starts on.
import { readdirSync, readFileSync, statSync } from "node:fs";

const LIMIT_BYTES = 500 * 1024;
const dist = new URL("../dist/", import.meta.url);
const page = readFileSync(new URL("index.html", dist), "utf8");
// The lazily loaded pages count too: whoever starts on Search loads them at once.
const lazy = readdirSync(new URL("assets/", dist)).filter((name) => name.endsWith(".js")).map((name) => `assets/${name}`);
const named = [...page.matchAll(/(?:src|href)="\/([^"]+\.(?:js|css))"/g)].map((match) => match[1]);
const files = [...new Set([...named, ...lazy])];
if (named.length === 0) throw new Error("index.html names no script: is the build whole?");
const sizes = files.map((file) => statSync(new URL(`${file}.gz`, dist)).size);
const total = sizes.reduce((sum, size) => sum + size, page.length);
files.forEach((file, at) => console.log(`${String(sizes[at]).padStart(8)}  ${file}`));
console.log(`${String(total).padStart(8)}  first load, gzip; limit ${LIMIT_BYTES}`);
if (total > LIMIT_BYTES) {
  console.error("the first load is too big: load pages lazily, or drop a dependency");
  process.exit(1);
}
