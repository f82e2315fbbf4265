// Times as analysts read them: always with zone, in UTC or local; ranges relative or absolute.

export type Zone = "utc" | "local";

const pad = (value: number, digits = 2) => String(value).padStart(digits, "0");

/** `+08:00`, or `Z` for UTC. */
export function offsetText(date: Date, zone: Zone): string {
  if (zone === "utc") return "Z";
  const minutes = -date.getTimezoneOffset();
  const sign = minutes < 0 ? "-" : "+";
  return `${sign}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
}

/** A date whose UTC parts read as the wanted zone's. */
function shifted(date: Date, zone: Zone): Date {
  return zone === "utc" ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
}

export function dayText(date: Date, zone: Zone): string {
  return shifted(date, zone).toISOString().slice(0, 10);
}

export function clockText(date: Date, zone: Zone, millis = true): string {
  return shifted(date, zone).toISOString().slice(11, millis ? 23 : 19);
}

/** `2026-11-24 08:00:00.123`, with the offset apart so that a page can make it quiet. */
export function stampText(time: string, zone: Zone): { stamp: string; offset: string } {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return { stamp: time, offset: "" };
  return { stamp: `${dayText(date, zone)} ${clockText(date, zone)}`, offset: offsetText(date, zone) };
}

export interface Range {
  /** `-15m`, or RFC 3339; empty is the beginning. */
  from: string;
  /** As `from`; empty is now. */
  to: string;
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** The seconds of `-15m`; undefined for anything else. */
export function relativeSecs(text: string): number | undefined {
  const found = /^-(\d+)([smhdw])$/.exec(text);
  return found ? Number(found[1]) * (UNITS[found[2] ?? "s"] ?? 1) : undefined;
}

/** The instant that one end of a range stands for at `now`. */
export function instant(text: string, now: number): number | undefined {
  const secs = relativeSecs(text);
  if (secs !== undefined) return now - secs * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

/** What the server is asked: absolute times, so that list, histogram and fields speak of the same. */
export function resolve(range: Range, now: number): { from?: string; to?: string } {
  const from = instant(range.from, now);
  const to = instant(range.to, now);
  return {
    ...(from === undefined ? {} : { from: new Date(from).toISOString() }),
    ...(to === undefined ? {} : { to: new Date(to).toISOString() }),
  };
}

export function around(time: string, secs: number): Range {
  const at = Date.parse(time);
  return {
    from: new Date(at - secs * 1000).toISOString(),
    to: new Date(at + secs * 1000).toISOString(),
  };
}

/** What a person types for an absolute time: `2026-11-24 08:00`, seconds and zone if wanted. */
export function readTyped(text: string, zone: Zone): string | undefined {
  const trimmed = text.trim();
  if (relativeSecs(trimmed) !== undefined) return trimmed;
  const found = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?\s*(Z|[+-]\d{2}:\d{2})?$/.exec(trimmed);
  if (!found) return undefined;
  const end = found[3] ?? (zone === "utc" ? "Z" : "");
  const date = new Date(`${found[1]}T${found[2] ?? "00:00"}${end}`);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** A relative time in the unit it was written in: `-24h` stays 24 h. */
export function relativeParts(text: string): { value: number; unit: "d" | "h" | "min" | "s" } | undefined {
  const found = /^-(\d+)([smhdw])$/.exec(text);
  if (!found) return undefined;
  const value = Number(found[1]);
  if (found[2] === "w") return { value: 7 * value, unit: "d" };
  const unit = ({ s: "s", m: "min", h: "h", d: "d" } as const)[found[2] as "s" | "m" | "h" | "d"];
  return { value, unit };
}

/** `3 d 4 h`, `12 min`, `8 s`: the two largest parts. */
export function spanParts(secs: number): { value: number; unit: "d" | "h" | "min" | "s" }[] {
  const whole = Math.max(0, Math.round(secs));
  const parts = [
    { value: Math.floor(whole / 86_400), unit: "d" as const },
    { value: Math.floor((whole % 86_400) / 3600), unit: "h" as const },
    { value: Math.floor((whole % 3600) / 60), unit: "min" as const },
    { value: whole % 60, unit: "s" as const },
  ];
  const first = parts.findIndex((part) => part.value > 0);
  if (first < 0) return [{ value: 0, unit: "s" }];
  return parts.slice(first, first + 2).filter((part, at) => at === 0 || part.value > 0);
}
