// Keeps what is shown current: one stream of changes, and the answers that each one makes old.
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";
import { useSigned } from "./session";
import { openStream, type StreamState } from "../api/stream";

/** Which answers a message of a topic makes old. */
const STALE: Record<string, string[]> = {
  alerts: ["alerts", "overview", "rules"],
  "alert-changes": ["alerts", "alert", "overview"],
  incidents: ["incidents", "incident", "runs", "run", "tasks", "effects", "overview", "alerts"],
  runs: ["incident", "runs", "run", "effects", "overview"],
  sources: ["sources", "overview"],
};

/** 400 ms: a burst of a thousand alerts asks anew at most this often, and nobody waits half a second. */
const GATHER_MILLIS = 400;
/** 2 s for the overview: counts of sources come every second while anything arrives. */
const OVERVIEW_MILLIS = 2000;

const Context = createContext<StreamState>("connecting");

export function LiveProvider({ children }: { children: ReactNode }) {
  const cache = useQueryClient();
  const { can } = useSigned();
  const canAlerts = can("read_alerts");
  const canSources = can("read_sources");
  const [state, setState] = useState<StreamState>("connecting");
  useEffect(() => {
    const waiting = new Set<string>();
    let overviewAt = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const flush = () => {
      timer = undefined;
      for (const key of waiting) {
        if (key === "overview" && Date.now() - overviewAt < OVERVIEW_MILLIS) continue;
        if (key === "overview") overviewAt = Date.now();
        waiting.delete(key);
        void cache.invalidateQueries({ queryKey: [key] });
      }
      if (waiting.size > 0) timer = setTimeout(flush, OVERVIEW_MILLIS);
    };
    const wasLost = { now: false };
    const close = openStream({
      topics: canAlerts ? (canSources ? "alerts,incidents,sources" : "alerts,incidents") : "sources",
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
  }, [cache, canAlerts, canSources]);
  return <Context.Provider value={state}>{children}</Context.Provider>;
}

export const useLiveState = () => useContext(Context);
