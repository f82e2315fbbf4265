// Both languages say everything, with the same values in it.
import { expect, test } from "vitest";
import { en } from "../src/i18n/en";
import { fill, preferred } from "../src/i18n/translate";
import { zh } from "../src/i18n/zh";

const names = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort();

test("both catalogues have the same keys", () => {
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
});

test("no text is empty, and no text of one language was left in the other", () => {
  for (const [key, text] of Object.entries(en)) {
    expect(text.trim(), key).not.toBe("");
    expect(/[\u4e00-\u9fff]/.test(text), key).toBe(false);
  }
  for (const [key, text] of Object.entries(zh)) expect(text.trim(), key).not.toBe("");
});

test("a Chinese text takes no value that the English one does not have", () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    for (const name of names(zh[key])) expect(names(en[key]), key).toContain(name);
  }
});

test("a number takes its separators and its plural", () => {
  expect(fill("en", "{n} {n|event|events}", { n: 1 })).toBe("1 event");
  expect(fill("en", "{n} {n|event|events}", { n: 12345 })).toBe("12,345 events");
  expect(fill("zh", "{n} 条事件", { n: 12345 })).toBe("12,345 条事件");
  expect(fill("en", "{missing} stays", {})).toBe("{missing} stays");
});

test("the browser's first language of ours is taken", () => {
  expect(preferred(["de-DE", "zh-TW", "en"])).toBe("zh");
  expect(preferred(["en-GB", "zh-CN"])).toBe("en");
  expect(preferred(["fr"])).toBe("en");
});
