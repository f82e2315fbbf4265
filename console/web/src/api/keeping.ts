// Backups and drills, as the server says them.
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
