// One way to ask the server: JSON in and out, problems as errors, the session's token on every change.

/** What the server refused, and why (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly column?: number,
    readonly fault?: string,
  ) {
    super(detail || title);
  }

  /** The server could not be reached at all. */
  get offline(): boolean {
    return this.status === 0;
  }
}

/** Says that no person asked for this: it does not put off the end of an idle session. */
export const BACKGROUND = "x-custos-background";
/** 30 s: what is asked later than this after somebody's last touch, the page asks by itself. */
const TOUCH_MILLIS = 30_000;

let touchedAt = Date.now();
for (const name of ["pointerdown", "keydown", "wheel"]) {
  globalThis.addEventListener?.(name, () => (touchedAt = Date.now()), { capture: true, passive: true });
}

/** The detail of the problem that a change meets while the past is shown. */
export const PAST_IS_READ_ONLY = "past-is-read-only";

let csrf = "";
let onSignedOut: () => void = () => {};

export function setCsrf(token: string): void {
  csrf = token;
}

/** Called when the server says that nobody is signed in (any more). */
export function whenSignedOut(then: () => void): void {
  onSignedOut = then;
}

export function isSignedOut(): void {
  onSignedOut();
}

/** The moment that everything is seen at; empty: now. */
let asOf = "";

export function setAsOf(moment: string): void {
  asOf = moment;
}

/** What can be asked as of another time; the rest (the session, accounts, proofs against the newest signed head) is of now. */
const HAS_PAST = /^\/(alerts|incidents|overview|sources|rules|runs|effects|tasks|events|search|count|customers)(\/(?!.*\/(proof|evidence)$)|$)/;

export type Query = Record<string, string | number | boolean | undefined | null>;

export function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { title?: string; detail?: string; column?: number; fault?: string };
    return new Problem(response.status, body.title ?? "", body.detail ?? "", body.column, body.fault);
  } catch {
    return new Problem(response.status, response.statusText, "");
  }
}

async function ask(method: string, url: string, body?: unknown, signal?: AbortSignal) {
  const headers: Record<string, string> = { accept: "application/json" };
  if (method === "GET" && Date.now() - touchedAt > TOUCH_MILLIS) headers[BACKGROUND] = "1";
  if (asOf && method !== "GET" && !url.includes("/session")) throw new Problem(409, "", PAST_IS_READ_ONLY);
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET") headers["x-csrf-token"] = csrf;
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "", "");
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (response.status === 401 && !url.endsWith("/session")) onSignedOut();
    throw problem;
  }
  if (response.status === 204) return undefined;
  const text = await response.text();
  return text ? JSON.parse(text) : undefined;
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const then = asOf && HAS_PAST.test(path) ? { ...query, as_of: asOf } : query;
  return (await ask("GET", withQuery(path, then), undefined, signal)) as T;
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  return (await ask("POST", withQuery(path), body)) as T;
}

export async function patch<T>(path: string, body: unknown): Promise<T> {
  return (await ask("PATCH", withQuery(path), body)) as T;
}

export async function remove(path: string): Promise<void> {
  await ask("DELETE", withQuery(path));
}
