// Writing the query language (docs/search.md) by hand and by click.
import type { FieldValue } from "../api/types";

/** A value as the language reads it back: bare where that is safe, else in quotes. */
export function quote(value: string): string {
  if (/^[\p{L}\p{N}_.:/@-]+$/u.test(value) && !/^(and|or|not)$/i.test(value) && !value.includes(":")) return value;
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

export function condition(field: string, value: string): string {
  return value === "" ? `${field}:""` : `${field}:${quote(value)}`;
}

const hasOr = (query: string) => /\bor\b/i.test(query);

/** The query narrowed by one more condition; the same one is not added twice. */
export function narrowed(query: string, added: string): string {
  const old = query.trim();
  if (old === "" || old === "*") return added;
  if (old === added || old.endsWith(` and ${added}`) || old.startsWith(`${added} and `)) return old;
  return `${hasOr(old) ? `(${old})` : old} and ${added}`;
}

export const included = (query: string, field: string, value: string) => narrowed(query, condition(field, value));

export const excluded = (query: string, field: string, value: string) =>
  narrowed(query, `not ${condition(field, value)}`);

/** One field's value as texts: an array has several. */
export function texts(value: FieldValue | undefined): string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(texts);
  if (typeof value === "object") return [JSON.stringify(value)];
  return [String(value)];
}

/** The fields by which an entity of a kind is found. */
const ENTITY_FIELDS: Record<string, string[]> = {
  user: ["user.name", "user.target.name"],
  address: ["source.ip", "client.ip", "destination.ip"],
  host: ["host.name"],
  door: ["custos.door.name"],
  card: ["custos.payment.card.token"],
};

/** The query that finds an entity's events. */
export function entityQuery(kind: string, value: string): string {
  const fields = ENTITY_FIELDS[kind];
  if (!fields) return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return fields.map((field) => condition(field, value)).join(" or ");
}

export interface Place {
  /** What is being written: a field's name, or a value of one. */
  kind: "field" | "value";
  field: string;
  /** The text so far, and where it begins. */
  prefix: string;
  from: number;
}

/** What the cursor at `at` stands in; undefined inside quotes of free text. */
export function placeAt(text: string, at: number): Place | undefined {
  const before = text.slice(0, at);
  const value = /([\p{L}_][\p{L}\p{N}_.-]*):\s*("(?:[^"\\]|\\.)*|[^\s()":]*)$/u.exec(before);
  if (value) {
    const prefix = value[2] ?? "";
    return { kind: "value", field: value[1] ?? "", prefix: prefix.replace(/^"/, ""), from: at - prefix.length };
  }
  const inList = /([\p{L}_][\p{L}\p{N}_.-]*):\s*\((?:[^()"]|"(?:[^"\\]|\\.)*")*?([^\s()":]*)$/u.exec(before);
  if (inList) {
    const prefix = inList[2] ?? "";
    return { kind: "value", field: inList[1] ?? "", prefix, from: at - prefix.length };
  }
  if ((before.replaceAll(/\\./g, "").match(/"/g)?.length ?? 0) % 2 === 1) return undefined;
  const word = /[\p{L}\p{N}_.@-]*$/u.exec(before)?.[0] ?? "";
  return { kind: "field", field: "", prefix: word, from: at - word.length };
}
