// The console's own catalogues, so that a test looks for what a person reads, in either language.
import { readdirSync, readFileSync } from "node:fs";

function read(file) {
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n").filter((line) => /^ {2}"[^"]+": ".*",$/.test(line));
  return JSON.parse(`{${lines.map((line) => line.trim()).join("").replace(/,$/, "")}}`);
}

const catalogues = Object.fromEntries(
  ["en", "zh"].map((language) => {
    const folder = new URL(`../../../console/web/src/i18n/${language}/`, import.meta.url);
    const files = readdirSync(folder).filter((name) => name !== "index.ts");
    return [language, Object.assign({}, ...files.map((name) => read(new URL(name, folder))))];
  }),
);

/** The text of a key, with its values. */
export function words(language) {
  return (key, values = {}) => {
    const text = catalogues[language][key];
    if (text === undefined) throw new Error(`no such text: ${key}`);
    return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, many) =>
      one === undefined ? String(values[name]) : values[name] === 1 ? one : many,
    );
  };
}
