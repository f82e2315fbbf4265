// What the server says, as it says it. Each type is named in docs/openapi.json.

export type Level = "informational" | "low" | "medium" | "high" | "critical";
export type AlertStatus = "open" | "acknowledged" | "closed";
export type Verdict = "true_positive" | "false_positive" | "benign";

export interface Position {
  log: string;
  partition: number;
  seq: number;
}

export type FieldValue = string | number | boolean | null | FieldValue[] | { [key: string]: FieldValue };

export interface LogEvent {
  position: Position;
  time: string;
  received: string;
  source: string;
  fields: Record<string, FieldValue>;
  raw: string;
  rejected?: string | null;
}

export interface EventsPage {
  events: LogEvent[];
  next: string | null;
  took_ms: number;
  read: number;
  partial: boolean;
  /** What to know of the answer. */
  notes?: string[];
}

export interface HistogramAnswer {
  from: string;
  to: string;
  bucket_secs: number;
  total: number;
  exact: boolean;
  buckets: { time: string; count: number }[];
}

export interface TopValue {
  value: string;
  count: number;
}

export interface FieldsAnswer {
  total: number;
  sampled: number;
  exact: boolean;
  fields: { name: string; count: number; top: TopValue[] }[];
}

export interface FieldName {
  name: string;
  type: string;
  description?: string | null;
}

export interface Matched {
  selection: string;
  field: string;
  pattern: string;
  value: string;
}

export interface Entity {
  kind: string;
  value: string;
}

export interface Alert {
  id: string;
  seq: number;
  rule: string;
  rule_version: string;
  title: string;
  title_zh?: string;
  level: Level;
  tags?: string[];
  time: string;
  raised_at: string;
  /** The places of its events: `telemetry/0/42`. */
  events: string[];
  matched: Matched[];
  entities?: Entity[];
  status: AlertStatus;
  verdict?: Verdict | null;
  reason?: string | null;
  incident?: string | null;
  by?: string | null;
  suppressed?: { matches: number; last: string; samples: string[] };
}

export interface AlertGroup {
  key: string;
  title: string;
  title_zh?: string;
  level: Level;
  count: number;
  open: number;
  newest: string;
  oldest: string;
}

export interface AlertsPage {
  alerts?: Alert[];
  groups?: AlertGroup[];
  next: number | null;
  total: number;
  hidden: number;
}

export interface AlertFilter {
  status?: string;
  level?: string;
  rule?: string;
  entity?: string;
  query?: string;
}

export interface Prior {
  true_positive: number;
  false_positive: number;
  benign: number;
}

/** An alert with its first fifty events; none for who may not read events. */
export interface AlertDetail extends Omit<Alert, "events" | "rule"> {
  positions: string[];
  events: LogEvent[];
  rule: RuleSummary;
  prior: Prior;
}

/** What the alerts about each add up to, older ones for less. */
export interface EntityRisks {
  entities: {
    kind: string; value: string; score: number; level: Level; alerts: number; newest: string;
    rules: { rule: string; title: string; title_zh?: string; score: number; alerts: number; alert: string }[];
  }[];
  total: number;
  half_life_secs: number;
}

export interface EventDetail extends LogEvent {
  alerts: { id: string; title: string; title_zh?: string; level: Level; rule: string }[];
}

export interface RuleProblem {
  line: number;
  column: number;
  message: string;
  severity: "error" | "warning";
}

export interface RuleSummary {
  id: string;
  title: string;
  title_zh?: string;
  /** Of what alone raises no alert it is empty. */
  level: Level | "";
  status: string;
  path: string;
  tags: string[];
  logsource: { product?: string; category?: string; service?: string };
  hits: number;
  last_hit?: string | null;
  valid: boolean;
  problems: RuleProblem[];
  description?: string;
  description_zh?: string;
  stage?: RuleStage;
  also?: RuleStage[];
  moved?: boolean;
  shadow?: { matches: number; last?: string; samples: string[] };
}

export type RuleStage = "draft" | "shadow" | "live" | "retired";

export interface RuleVersion {
  version: string;
  stages: string[];
  text: string;
}

export interface RuleDetail extends RuleSummary {
  text: string;
  key?: string;
  versions?: RuleVersion[];
  history?: { at: string; by: string; to: RuleStage; version: string; reason: string }[];
  coverage?: {
    version: string; events: number; stretches: { first: string; last: string }[]; gaps: string[]; lag_events: number;
  };
}

export interface LintProblem {
  line: number;
  column: number;
  message: string;
}

export interface LintAnswer {
  valid: boolean;
  errors: LintProblem[];
  warnings: LintProblem[];
  rules: { id: string; title: string; level: string; known: boolean }[];
  version?: string;
}

interface BacktestRead {
  events: number;
  first?: string;
  last?: string;
  complete: boolean;
  damaged: number;
  unreadable: number;
  seconds: number;
}

export interface BacktestAnswer {
  suppressed: number;
  read: BacktestRead;
  matches: number;
  days: { day: string; rule: string; matches: number }[];
  samples: { rule: string; title: string; time: string; events: string[]; matched: { selection: string; field: string; pattern: string; value: string }[] }[];
}

interface DiffMatch {
  rule: string;
  time: string;
  events: string[];
  alert?: string;
  verdict?: string;
}

export interface RuleDiffAnswer {
  read: BacktestRead;
  same: number;
  gained: number;
  lost: number;
  truncated: boolean;
  lost_verdicts: Record<string, number>;
  same_verdicts: Record<string, number>;
  gained_shown: DiffMatch[];
  lost_shown: DiffMatch[];
}

export interface SourceRow {
  name: string;
  kind: string;
  received: number;
  stored: number;
  rejected: number;
  last_seen?: string | null;
  per_minute: number[];
  rejected_per_minute: number[];
  silent: boolean;
  /** When the journal said that it is silent. */
  silent_told?: string | null;
  lag?: number | null;
}

/** A port that is open to shippers. */
export interface Inlet {
  source: string;
  protocol: string;
  transport: string;
  address: string;
  tokens: boolean;
}

export interface ShipperPage {
  title: string;
  protocol: string;
  config: string;
  snippets: { shipper: string; text: string }[];
}

/** A source that somebody made here. */
export interface MadeSource {
  name: string;
  type: string;
  open: boolean;
  changed_at: string;
  changed_by: string;
  reason?: string | null;
}

export interface MadeSourcesAnswer {
  sources: MadeSource[];
  types: string[];
}

export interface IssuedToken {
  name: string;
  token: string;
}

export interface ShippersAnswer {
  open: Inlet[];
  pages: ShipperPage[];
}

/** A customer system, or the Kafka cluster, that Custos asks; or a topic that it publishes to. */
export interface Connector {
  source: string;
  system: string;
  read_up_to?: string | null;
  read_at?: string | null;
  behind?: number | null;
  trouble?: { kind: string; text: string; since: string; until: string } | null;
}

/** What of Kafka is not read for now; `kafka` is all of it. */
export interface PausedSource {
  source: string;
  since: string;
  by: string;
  reason: string;
}

export interface SourcesAnswer {
  sources: SourceRow[];
  connectors: Connector[];
  paused: PausedSource[];
  received: number;
  stored: number;
  rejected: number;
}

export interface Overview {
  alerts: { open: number; by_level: Partial<Record<Level, number>> };
  incidents?: { open: number; contained?: number; closed?: number };
  events: { total: number; last_minute: number; per_minute: number[] };
  sources: { total: number; silent: number; rejected: number; received?: number; stored?: number };
  runs?: { waiting: number };
  open_effects?: number;
  mttd_secs?: number | null;
  mtta_secs?: number | null;
  mttr_secs?: number | null;
  integrity: { last_checkpoint?: string | null; size?: number | null };
  intake_paused_since?: string | null;
}

export interface Session {
  user: { name: string; roles: string[]; permissions: string[] };
  csrf: string;
  idle_secs: number;
  expires_at: string;
}
