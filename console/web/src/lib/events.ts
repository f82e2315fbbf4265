// One event in short: where it is, and the line that tells it.
import type { LogEvent, Position } from "../api/types";
import { texts } from "./query";

export function placeOf(position: Position | string): string {
  return typeof position === "string" ? position : `${position.log}/${position.partition}/${position.seq}`;
}

export function first(event: LogEvent, field: string): string {
  return texts(event.fields[field])[0] ?? "";
}

/** Fields that tell most in a line, in the order a person asks: what, who, whence, whither, where. */
const TELLING = [
  "event.action", "event.outcome", "user.name", "user.target.name", "source.ip", "destination.ip", "destination.port",
  "host.name", "process.name", "custos.door.name", "custos.access.result", "custos.payment.result", "custos.payment.amount",
  "http.request.method", "url.path", "http.response.status_code", "dns.question.name", "rule.name", "winlog.event_id",
];

export interface Told {
  name: string;
  value: string;
}

/** The telling fields that an event has, at most six. */
export function telling(event: LogEvent): Told[] {
  const found = TELLING.map((name) => ({ name, value: first(event, name) })).filter((told) => told.value !== "");
  return found.slice(0, 6);
}

export function message(event: LogEvent): string {
  return event.rejected ? event.raw : first(event, "message");
}

/** What kind of event it is: its dataset, else its source. */
export function kindOf(event: LogEvent): string {
  return first(event, "event.dataset") || event.source;
}
