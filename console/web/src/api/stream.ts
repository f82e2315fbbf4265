// Live updates: server-sent events read through fetch, so that a lost connection resumes after the last
// id seen, without a gap or a repeat. The stream rests while the tab is hidden: browsers allow six
// connections a server, and a hidden tab needs none.
import { BACKGROUND, isSignedOut, withQuery } from "./client";

export interface StreamMessage {
  id: string;
  topic: string;
  data: unknown;
}

export type StreamState = "connecting" | "live" | "lost" | "resting";

export interface StreamOptions {
  topics: string;
  query?: string;
  onMessage: (message: StreamMessage) => void;
  onState: (state: StreamState) => void;
}

/** The waits between attempts: 1, 2, 4, 8, then 15 s, so that a restarted server is found soon. */
export function retryMillis(attempt: number): number {
  return Math.min(15_000, 1000 * 2 ** Math.min(attempt, 4));
}

/** Splits the text of a stream into messages; keeps what is unfinished. */
export class EventReader {
  private rest = "";
  private id = "";
  private topic = "";
  private data: string[] = [];

  push(text: string): StreamMessage[] {
    const all = this.rest + text;
    // A carriage return at the end may be half of a line's end.
    const held = all.endsWith("\r") ? "\r" : "";
    const lines = all.slice(0, all.length - held.length).split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? "") + held;
    const messages: StreamMessage[] = [];
    for (const line of lines) {
      const message = this.line(line);
      if (message) messages.push(message);
    }
    return messages;
  }

  private line(line: string): StreamMessage | undefined {
    if (line === "") return this.finish();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") this.id = value;
    if (name === "event") this.topic = value;
    if (name === "data") this.data.push(value);
    return undefined;
  }

  private finish(): StreamMessage | undefined {
    const text = this.data.join("\n");
    const topic = this.topic;
    this.data = [];
    this.topic = "";
    if (!text) return undefined;
    try {
      return { id: this.id, topic, data: JSON.parse(text) as unknown };
    } catch {
      return { id: this.id, topic, data: text };
    }
  }
}

const wait = (millis: number, signal: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, millis);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

async function read(options: StreamOptions, last: { id: string }, signal: AbortSignal) {
  const headers: Record<string, string> = { accept: "text/event-stream", [BACKGROUND]: "1" };
  if (last.id) headers["last-event-id"] = last.id;
  const url = withQuery("/stream", { topics: options.topics, query: options.query });
  const response = await fetch(url, { headers, signal, credentials: "same-origin", cache: "no-store" });
  if (response.status === 401) isSignedOut();
  if (!response.ok || !response.body) throw new Error(String(response.status));
  options.onState("live");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const message of events.push(value)) {
      if (message.id) last.id = message.id;
      // The server cannot go on from the id: everything is asked anew, then the stream from now.
      if (message.topic === "reset") last.id = "";
      if (message.topic === "closed") return;
      options.onMessage(message);
    }
  }
}

async function follow(options: StreamOptions, last: { id: string }, signal: AbortSignal) {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    const started = Date.now();
    try {
      await read(options, last, signal);
    } catch {
      // Told by the state below; the next attempt says whether it is mended.
    }
    if (signal.aborted) return;
    if (Date.now() - started > 30_000) attempt = 0;
    options.onState("lost");
    await wait(retryMillis(attempt), signal);
  }
}

/** Follows the stream until the returned function is called. */
export function openStream(options: StreamOptions): () => void {
  const last = { id: "" };
  let running: AbortController | undefined;
  const start = () => {
    if (running) return;
    running = new AbortController();
    options.onState("connecting");
    void follow(options, last, running.signal);
  };
  const rest = () => {
    running?.abort();
    running = undefined;
    options.onState("resting");
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onVisibility = () => {
    clearTimeout(timer);
    // 30 s: switching between two tabs should not open a connection each time.
    if (document.visibilityState === "hidden") timer = setTimeout(rest, 30_000);
    else start();
  };
  document.addEventListener("visibilitychange", onVisibility);
  start();
  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    clearTimeout(timer);
    running?.abort();
  };
}
