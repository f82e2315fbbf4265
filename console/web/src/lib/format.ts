// Numbers and names as a person of either language reads them.
import type { Actor } from "./actor";

export function actorText(actor: Actor | undefined | null): string {
  if (!actor) return "";
  if (typeof actor === "string") return actor;
  return actor.name ?? actor.part ?? actor.kind;
}

/** A share in percent with at most one digit behind the point. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  const share = (100 * part) / whole;
  return `${share >= 10 || share === 0 ? Math.round(share) : share.toFixed(1)} %`;
}

/** Bytes with a unit of a thousand each; the units are the same in both languages. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** at;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at] ?? ""}`;
}
