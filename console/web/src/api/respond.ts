// Incidents, runs, tasks and effects, as the server says them.
import type { Actor } from "../lib/actor";
import type { Entity, Level } from "./types";

export type IncidentStatus = "open" | "contained" | "closed";

export interface IncidentSummary {
  id: string;
  title: string;
  title_zh?: string;
  level: Level;
  status: IncidentStatus;
  owner: string | null;
  opened_at: string;
  contained_at: string | null;
  closed_at: string | null;
  alerts: number;
  entities: Entity[];
  open_tasks: number;
  /** Runs that wait for somebody. */
  waiting_runs: number;
  open_effects: number;
}

/** A fact: what it is about, then the fields of its own. */
export interface TimelineItem {
  at: string;
  actor: Actor;
  of: "incident" | "run" | "task";
  kind: string;
  [field: string]: unknown;
}

export interface Task {
  id: string;
  title: string;
  title_zh?: string;
  incident: string;
  run: string | null;
  status: "open" | "started" | "verifying" | "not_clean" | "done" | "signed_off";
  owner: string | null;
  opened_at: string;
  due: string;
  rto_secs: number | null;
  probe: unknown;
  /** What the probe said last. */
  probed: string | null;
  done_by: string | null;
  done_at: string | null;
  signed_off_by: string | null;
  signed_off_at: string | null;
}

export interface Evidence {
  title: string;
  title_zh?: string;
  query: string;
  from: string;
  to: string;
  count: number;
  sha256: string;
}

export interface AlertRef {
  id: string;
  rule: string;
  title: string;
  title_zh?: string;
  level: Level;
  time: string;
  entities?: Entity[];
}

export interface Incident {
  id: string;
  title: string;
  title_zh?: string;
  level: Level;
  status: IncidentStatus;
  owner: string | null;
  opened_at: string;
  contained_at: string | null;
  closed_at: string | null;
  entities: Entity[];
  alerts: AlertRef[];
  alerts_total: number;
  timeline: TimelineItem[];
  tasks: Task[];
  runs: Run[];
  evidence: Evidence[];
  /** How many; their texts are in the timeline. */
  comments: number;
  /** What is still open; empty where it may be closed without a reason. */
  left_open: string;
}

export interface RunStep {
  name: string;
  title: string;
  title_zh?: string;
  /** The action with its kind; look-ups are filled in once an approval was asked. */
  action: unknown;
  /** read, reversible or irreversible. */
  effect: string;
  status: string;
  target: string;
  output: unknown;
  detail: string;
  attempts: number;
  intent_at: string | null;
  result_at: string | null;
  approver: string | null;
  /** Of the arguments that wait for approval, or were approved. */
  hash: string | null;
  roles: string[];
  expires_at: string | null;
  undo: "none" | "open" | "undoing" | "undone" | "failed" | "unknown";
  undo_action: unknown;
  undo_after_secs: number | null;
  undo_due: string | null;
  undone_at: string | null;
}

export interface Run {
  id: string;
  playbook: string;
  title: string;
  title_zh?: string;
  incident: string;
  status: string;
  requested_by: string;
  opened_at: string;
  finished_at: string | null;
  inputs: Record<string, unknown>;
  steps: RunStep[];
}

/** One step of a dry run. */
export interface PlannedStep {
  name: string;
  title: string;
  title_zh?: string;
  effect: string;
  action: unknown;
  target: string;
  undo: unknown;
  approval: string[] | null;
  skipped: boolean;
  refused: string | null;
  detail: string | null;
}

export interface PlaybookInput {
  name: string;
  type: string;
  title: string;
  title_zh?: string;
  default: unknown;
  required: boolean;
}

export interface Playbook {
  id: string;
  title: string;
  title_zh?: string;
  description: string;
  inputs: PlaybookInput[];
}

export interface OpenEffect {
  run: string;
  step: string;
  title: string;
  title_zh?: string;
  kind: string;
  target: string;
  since: string | null;
  until: string | null;
  by: string;
  incident: string;
  undo: RunStep["undo"];
  undo_action: unknown;
}
