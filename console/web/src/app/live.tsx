// Keeps what is shown current: one stream of changes, and the answers that each one makes old.
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import { openStream, type StreamState } from "../api/stream";

/** Which answers a message of a topic makes old. */
const STALE: Record<string, string[]> = {
  alerts: ["alerts", "overview", "rules"],
  incidents: ["incidents", "incident", "runs", "run", "tasks", "effects", "overview", "alerts"],
  runs: ["incident", "runs", "run", "effects", "overview"],
  sources: ["sources", "overview"],
};

/** 400 ms: a burst of a thousand alerts asks anew at most this often, and nobody waits half a second. */
const GATHER_MILLIS = 400;

const Context = createContext<StreamState>("connecting");

export function LiveProvider({ children }: { children: ReactNode }) {
  const cache = useQueryClient();
  const [state, setState] = useState<StreamState>("connecting");
  useEffect(() => {
    const waiting = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      for (const key of waiting) void cache.invalidateQueries({ queryKey: [key] });
      waiting.clear();
    };
    const wasLost = { now: false };
    const close = openStream({
      topics: "alerts,incidents,sources",
      onMessage: (message) => {
        if (message.topic === "reset") void cache.invalidateQueries();
        for (const key of STALE[message.topic] ?? []) waiting.add(key);
        timer ??= setTimeout(flush, GATHER_MILLIS);
      },
      onState: (next) => {
        if (next === "live" && wasLost.now) void cache.invalidateQueries();
        if (next === "lost" || next === "resting") wasLost.now = true;
        if (next === "live") wasLost.now = false;
        // A new attempt after a loss is still a loss to who looks on.
        setState((old) => (next === "connecting" && old === "lost" ? old : next));
      },
    });
    return () => {
      clearTimeout(timer);
      close();
    };
  }, [cache]);
  return <Context.Provider value={state}>{children}</Context.Provider>;
}

export const useLiveState = () => useContext(Context);
