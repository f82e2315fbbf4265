// What a person chose for this browser: language, zone, theme, columns. Kept in local storage; a browser
// that refuses storage works, and forgets.
import { useSyncExternalStore } from "react";

const PREFIX = "custos.";
const listeners = new Set<() => void>();
const memory = new Map<string, string>();

export function readSetting(name: string): string | undefined {
  try {
    return localStorage.getItem(PREFIX + name) ?? memory.get(name);
  } catch {
    return memory.get(name);
  }
}

export function writeSetting(name: string, value: string): void {
  memory.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // Kept in memory, for this visit.
  }
  listeners.forEach((listener) => listener());
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSetting<T extends string>(name: string, initial: T): [T, (value: T) => void] {
  const value = useSyncExternalStore(subscribe, () => readSetting(name) ?? initial) as T;
  return [value, (next: T) => writeSetting(name, next)];
}

const HISTORY_MAX = 30;

export function queryHistory(): string[] {
  try {
    const read = JSON.parse(readSetting("history") ?? "[]") as unknown;
    return Array.isArray(read) ? read.filter((item): item is string => typeof item === "string") : [];
  } catch {
    return [];
  }
}

export function rememberQuery(query: string): void {
  const text = query.trim();
  if (!text) return;
  const rest = queryHistory().filter((item) => item !== text);
  writeSetting("history", JSON.stringify([text, ...rest].slice(0, HISTORY_MAX)));
}
