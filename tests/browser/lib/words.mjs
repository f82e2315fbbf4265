// The console's own catalogues, so that a test looks for what a person reads, in either language.
import { readFileSync } from "node:fs";

function read(path) {
  const text = readFileSync(new URL(`../../../console/web/src/i18n/${path}.ts`, import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => /^ {2}"[^"]+": ".*",$/.test(line));
  return JSON.parse(`{${lines.map((line) => line.trim()).join("").replace(/,$/, "")}}`);
}

const catalogues = Object.fromEntries(
  ["en", "zh"].map((language) => [language, { ...read(`${language}/frame`), ...read(`${language}/work`) }]),
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
