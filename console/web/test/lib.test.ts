// Times, escapes and the writing of queries.
import { expect, test } from "vitest";
import { pieces, visible } from "../src/lib/escape";
import { condition, entityQuery, excluded, included, narrowed, placeAt, texts } from "../src/lib/query";
import { around, instant, readTyped, relativeParts, relativeSecs, resolve, spanParts, stampText } from "../src/lib/time";

test("what hides or turns text is shown as an escape, and nothing else is", () => {
  expect(visible("a\u202eb\u0000c\nd")).toBe("a\\u202eb\\u0000c\\nd");
  expect(visible("门被强行打开 <script>")).toBe("门被强行打开 <script>");
  expect(visible("\u{e0041}\ufeff\u200b\u2066")).toBe("\\u{e0041}\\ufeff\\u200b\\u2066");
  expect(pieces("two\nlines", true)).toEqual([{ text: "two\nlines", escape: false }]);
  expect(pieces("x\u001b[31m")).toEqual([{ text: "x", escape: false }, { text: "\\u001b", escape: true }, { text: "[31m", escape: false }]);
});

test("a value is quoted where the language would read it otherwise", () => {
  expect(condition("user.name", "alice")).toBe("user.name:alice");
  expect(condition("a", "b c")).toBe('a:"b c"');
  expect(condition("a", 'say "x\\y"')).toBe('a:"say \\"x\\\\y\\""');
  expect(condition("a", "and")).toBe('a:"and"');
  expect(condition("a", "svc*")).toBe('a:"svc*"');
  expect(condition("a", "2001:db8::7")).toBe('a:"2001:db8::7"');
  expect(condition("a", "")).toBe('a:""');
});

test("a query is narrowed without changing what it meant, and not twice", () => {
  expect(narrowed("", "a:b")).toBe("a:b");
  expect(narrowed("*", "a:b")).toBe("a:b");
  expect(included("x:1 or y:2", "a", "b")).toBe("(x:1 or y:2) and a:b");
  expect(excluded("x:1", "a", "b")).toBe("x:1 and not a:b");
  expect(included("x:1 and a:b", "a", "b")).toBe("x:1 and a:b");
});

test("an entity is searched in the fields of its kind, an unknown kind as text", () => {
  expect(entityQuery("user", "li.wei")).toBe("user.name:li.wei or user.target.name:li.wei");
  expect(entityQuery("customer", "C 1")).toBe('"C 1"');
});

test("completion knows whether a field or a value is being written", () => {
  expect(placeAt("user.na", 7)).toEqual({ kind: "field", field: "", prefix: "user.na", from: 0 });
  expect(placeAt("a:b and user.name:al", 20)).toEqual({ kind: "value", field: "user.name", prefix: "al", from: 18 });
  expect(placeAt("user.name:(alice or b", 21)).toEqual({ kind: "value", field: "user.name", prefix: "b", from: 20 });
  expect(placeAt('"free te', 8)).toBeUndefined();
});

test("an array has several texts, null has none", () => {
  expect(texts(["a", 1, null, ["b"]])).toEqual(["a", "1", "b"]);
  expect(texts(undefined)).toEqual([]);
});

test("relative times are read, others are not", () => {
  expect(relativeSecs("-15m")).toBe(900);
  expect(relativeSecs("-2w")).toBe(1_209_600);
  expect(relativeSecs("15m")).toBeUndefined();
  expect(relativeParts("-24h")).toEqual({ value: 24, unit: "h" });
});

test("a range becomes the same absolute times for every question", () => {
  const now = Date.parse("2026-11-24T12:00:00Z");
  expect(resolve({ from: "-1h", to: "" }, now)).toEqual({ from: "2026-11-24T11:00:00.000Z" });
  expect(instant("nonsense", now)).toBeUndefined();
  expect(around("2026-11-24T12:00:00Z", 60)).toEqual({ from: "2026-11-24T11:59:00.000Z", to: "2026-11-24T12:01:00.000Z" });
});

test("typed times are read in the shown zone or their own", () => {
  expect(readTyped("2026-11-24 08:00", "utc")).toBe("2026-11-24T08:00:00.000Z");
  expect(readTyped("2026-11-24T08:00:30+08:00", "utc")).toBe("2026-11-24T00:00:30.000Z");
  expect(readTyped("-4h", "utc")).toBe("-4h");
  expect(readTyped("yesterday", "utc")).toBeUndefined();
});

test("a time is shown with its zone", () => {
  expect(stampText("2026-11-24T08:00:00.120Z", "utc")).toEqual({ stamp: "2026-11-24 08:00:00.120", offset: "Z" });
  expect(stampText("never", "utc")).toEqual({ stamp: "never", offset: "" });
});

test("a span has its two largest parts", () => {
  expect(spanParts(93_784)).toEqual([{ value: 1, unit: "d" }, { value: 2, unit: "h" }]);
  expect(spanParts(0)).toEqual([{ value: 0, unit: "s" }]);
});
