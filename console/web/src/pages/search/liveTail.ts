// Events as they come, for a query: no faster than a person can read, and it says how many it left out.
import { useEffect, useRef, useState } from "react";
import { openStream, type StreamState } from "../../api/stream";
import type { LogEvent } from "../../api/types";

/** More than anybody scrolls back through while events come. */
const KEPT_MAX = 1000;
/** 40 in a quarter of a second: 160 rows a second is beyond reading, and costs no frame. */
const BATCH_MAX = 40;
const BATCH_MILLIS = 250;

export interface Tail {
  events: LogEvent[];
  skipped: number;
  /** Came in while paused. */
  waiting: number;
  state: StreamState;
}

const NOTHING: Tail = { events: [], skipped: 0, waiting: 0, state: "connecting" };

function isEvent(data: unknown): data is LogEvent {
  return typeof data === "object" && data !== null && "position" in data;
}

export function useLiveTail(query: string, active: boolean, paused: boolean): Tail {
  const [tail, setTail] = useState<Tail>(NOTHING);
  const isPaused = useRef(paused);
  isPaused.current = paused;
  useEffect(() => {
    if (!active) return undefined;
    setTail(NOTHING);
    let batch: LogEvent[] = [];
    let skipped = 0;
    const flush = () => {
      if (isPaused.current || (batch.length === 0 && skipped === 0)) {
        if (isPaused.current && batch.length > 0) setTail((old) => ({ ...old, waiting: batch.length }));
        return;
      }
      const came = batch.slice(-BATCH_MAX).reverse();
      const left = skipped + batch.length - came.length;
      batch = [];
      skipped = 0;
      setTail((old) => ({ ...old, waiting: 0, skipped: old.skipped + left, events: [...came, ...old.events].slice(0, KEPT_MAX) }));
    };
    const timer = setInterval(flush, BATCH_MILLIS);
    const close = openStream({
      topics: "events",
      query: query || "*",
      onMessage: ({ topic, data }) => {
        if (isEvent(data)) batch.push(data);
        else if (topic === "skipped") skipped += Number((data as { count?: number }).count) || 0;
        if (batch.length > KEPT_MAX) (batch.shift(), (skipped += 1));
      },
      onState: (state) => setTail((old) => ({ ...old, state })),
    });
    return () => {
      clearInterval(timer);
      close();
    };
  }, [query, active]);
  return tail;
}
