// Incidents, runs, tasks and effects, as the server says them.
import type { Actor } from "../lib/actor";
import type { Alert, Entity, Level } from "./types";

export type IncidentStatus = "open" | "contained" | "closed";

export interface IncidentSummary {
  id: string;
  title: string;
  level: Level;
  status: IncidentStatus;
  owner?: string | null;
  opened_at: string;
  alerts: number | string[];
  waiting?: number;
}

export interface TimelineItem {
  at: string;
  actor: Actor;
  kind: string;
  [field: string]: unknown;
}

export interface Task {
  id: string;
  title: string;
  status: string;
  owner?: string | null;
  due?: string | null;
  incident?: string | null;
  rto_secs?: number | null;
  done_by?: Actor | null;
  signed_off_by?: Actor | null;
}

export interface Comment {
  at: string;
  actor?: Actor;
  by?: string;
  text: string;
}

export interface Evidence {
  title?: string;
  name?: string;
  text?: string;
  query?: string;
  from?: string;
  to?: string;
  count?: number;
  sha256?: string;
}

export interface Incident extends Omit<IncidentSummary, "alerts"> {
  entities: Entity[];
  alerts: (string | Alert)[];
  timeline: TimelineItem[];
  tasks: Task[];
  runs: (string | Run)[];
  evidence: Evidence[];
  comments: Comment[];
}

export interface RunStep {
  name: string;
  title?: string;
  /** What is done: a text, or the action with its kind. */
  action: unknown;
  /** read, reversible or irreversible. */
  effect: string;
  status: string;
  inputs?: Record<string, unknown>;
  output?: unknown;
  attempts?: number;
  intent_at?: string | null;
  result_at?: string | null;
  approver?: Actor | null;
  hash?: string | null;
  undo?: unknown;
  undo_due?: string | null;
  undo_after_secs?: number | null;
  target?: string | null;
  detail?: string | null;
  roles?: string[];
  expires_at?: string | null;
}

export interface Run {
  id: string;
  playbook: string;
  title?: string;
  incident: string;
  status: string;
  requested_by?: Actor | null;
  started_at?: string | null;
  steps: RunStep[];
}

export interface PlaybookInput {
  name: string;
  type: string;
  required?: boolean;
  default?: unknown;
  description?: string | null;
}

export interface Playbook {
  id: string;
  title: string;
  description?: string | null;
  inputs: PlaybookInput[];
  steps: { name: string; action: string; effect: string; approval?: boolean; undo?: unknown }[];
}

export interface OpenEffect {
  run: string;
  step: string;
  kind: string;
  target: string;
  since: string;
  until?: string | null;
  by: Actor;
  undo?: unknown;
  incident?: string | null;
}
