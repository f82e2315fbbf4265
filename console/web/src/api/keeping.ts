// Backups, drills, retention, holds and damage, as the server says them.
export interface Checked {
  at: string;
  ok: boolean;
  /** Every record was opened and is in the signed tree. */
  proven: boolean;
  errors: string[];
}

export interface Backup {
  id: string;
  kind: "full" | "differential" | "incremental";
  to: string;
  created_at: string;
  commit: number;
  bytes: number;
  stored_bytes: number;
  millis: number;
  damaged: number;
  checked?: Checked;
}

export interface BackupsAnswer {
  to?: string;
  backups: Backup[];
  running?: { what: string; since: string; parts: number; parts_total: number; bytes: number; bytes_total: number };
  drill?: { at: string; id: string; ok: boolean; records: number; bytes: number; compared: number; millis: number; errors: string[] };
  failed?: { at: string; what: string; reason: string };
}

export type HoldScope =
  | { kind: "incident"; incident: string }
  | { kind: "source"; source: string }
  | { kind: "received"; from: string; to: string };

export interface Hold {
  hold: string;
  scope: HoldScope;
  reason: string;
  by: string;
  at: string;
  /** What would have gone without it, as of the last look. */
  held_segments: number;
  held_bytes: number;
  lifted?: { by: string; at: string; reason: string };
}

export interface LogKept {
  log: string;
  class?: { name: string; sources: string[]; keep?: string; max?: string };
  segments: number;
  bytes: number;
  oldest?: string;
}

export interface RetentionAnswer {
  keep?: string;
  max?: string;
  logs: LogKept[];
  dropped_bytes: number;
  dropped: { log: string; first: number; last: number; bytes: number; through: string; at: string; reason: string }[];
  holds: Hold[];
}

export interface Damage {
  log: string;
  first: number;
  last: number;
  reason: string;
  at: string;
  repaired?: { at: string; backup: string };
}

export interface ScrubAnswer {
  last?: { at: string; segments: number; bytes: number; damaged: number };
  running?: { segments: number; segments_total: number; bytes: number };
  /** A backup is configured to repair from. */
  repairable: boolean;
  damages: Damage[];
}
