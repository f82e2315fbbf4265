// Keys that act on a page, and never while somebody writes.
import { useEffect, useRef } from "react";

/** Whether the key goes to something that takes text, or to an open menu or dialog. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  return target.closest("input:not([type=checkbox]), textarea, select, [role=menu], [role=listbox], [role=dialog]") !== null;
}

/** Calls what is bound to the key pressed: `j`, `?`, `g a` for one after another. */
export function useKeys(bindings: Record<string, (event: KeyboardEvent) => void>, active = true): void {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    if (!active) return undefined;
    const before = { key: "", at: 0 };
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target)) return;
      // Enter belongs to what has the focus, where that does something by itself.
      if (event.key === "Enter" && (event.target as HTMLElement).closest?.("button, a, summary, [role=tab]")) return;
      // A pair of keys counts within a second and a half.
      const pair = event.timeStamp - before.at < 1500 ? `${before.key} ${event.key}` : "";
      before.key = event.key;
      before.at = event.timeStamp;
      const bound = (pair && current.current[pair]) || (pair.startsWith("g ") ? undefined : current.current[event.key]);
      if (!bound) return;
      event.preventDefault();
      before.key = "";
      bound(event);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [active]);
}
