// The first page: what waits for a person, how bad it is, and whether everything flows. Each part opens its list.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { get } from "../api/client";
import type { IncidentSummary } from "../api/respond";
import type { AlertGroup, AlertsPage, EntityRisks, Level, Overview } from "../api/types";
import { useSigned } from "../app/session";
import { IconShield } from "../icons";
import { useSpeech } from "../i18n";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Panel, Severity } from "../ui/parts";
import { Sparkline } from "../ui/Sparkline";
import { LEVELS } from "./alerts/Filters";
import { STATUS_TONE } from "./incidents/IncidentsPage";

interface TileProps {
  label: string;
  value: ReactNode;
  note?: ReactNode;
  href: string;
  urgent?: boolean;
  children?: ReactNode;
}

function Tile({ label, value, note, href, urgent = false, children }: TileProps) {
  return (
    <Link href={href} className={urgent ? "tile tile-urgent" : "tile"}>
      <span className="tile-label">{label}</span>
      <span className="tile-value">{value}</span>
      {note ? <span className="tile-note">{note}</span> : null}
      {children}
    </Link>
  );
}

function Levels({ counts }: { counts: Partial<Record<Level, number>> }) {
  const { n } = useSpeech();
  const max = Math.max(1, ...LEVELS.map((level) => counts[level] ?? 0));
  return (
    <ul className="levels">
      {LEVELS.map((level) => {
        const count = counts[level] ?? 0;
        return (
          <li key={level}>
            <Link href={`/alerts?level=${level}`}>
              <Severity level={level} />
              <svg className="level-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden><rect width={count ? Math.max(1, (100 * count) / max) : 0} height={8} className={`fill-${level}`} /></svg>
              <span className="level-count">{n(count)}</span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

/** As many kinds of alert as fit beside the other panels. */
const KINDS_MAX = 10;

function AlertKinds() {
  const { t, n, titled } = useSpeech();
  const answer = useQuery({ queryKey: ["alerts", "kinds"], queryFn: ({ signal }) => get<AlertsPage>("/alerts", { status: "open", group: "rule", limit: 1 }, signal) });
  const worst = (group: AlertGroup) => LEVELS.indexOf(group.level);
  const groups = [...(answer.data?.groups ?? [])].sort((a, b) => worst(a) - worst(b) || b.newest.localeCompare(a.newest)).slice(0, KINDS_MAX);
  return (
    <Panel title={t("overview.newest")} aside={<Link href="/alerts">{t("overview.all")}</Link>} flush>
      {answer.isError ? <ErrorNote error={answer.error} /> : null}
      {answer.isSuccess && groups.length === 0 ? <Empty title={t("alerts.none")} hint={t("alerts.noneHint")} /> : null}
      <ul className="brief">
        {groups.map((group) => (
          <li key={group.key}><Link href={`/alerts?rule=${encodeURIComponent(group.key)}`}><span className="brief-sev"><Severity level={group.level} /></span><span className="brief-title"><Outside text={titled(group)} /></span><Chip>× {n(group.count)}</Chip><span className="brief-age"><Ago time={group.newest} /></span></Link></li>
        ))}
      </ul>
    </Panel>
  );
}

function Incidents() {
  const { t, term, titled } = useSpeech();
  const answer = useQuery({ queryKey: ["incidents", "brief"], queryFn: ({ signal }) => get<{ incidents: IncidentSummary[] }>("/incidents", { limit: 8 }, signal) });
  const incidents = answer.data?.incidents ?? [];
  return (
    <Panel title={t("nav.incidents")} aside={<Link href="/incidents">{t("overview.all")}</Link>} flush>
      {answer.isError ? <ErrorNote error={answer.error} /> : null}
      {answer.isSuccess && incidents.length === 0 ? <Empty title={t("incidents.none")} hint={t("incidents.noneHint")} /> : null}
      <ul className="brief">
        {incidents.map((incident) => (
          <li key={incident.id}><Link href={`/incidents/${incident.id}`}><span className="brief-sev"><Severity level={incident.level} /></span><span className="brief-title"><Outside text={titled(incident)} /></span><Chip tone={incident.waiting_runs > 0 ? "warn" : (STATUS_TONE[incident.status] ?? "plain")}>{incident.waiting_runs > 0 ? t("runs.waiting", { n: incident.waiting_runs }) : term("incidentStatus", incident.status)}</Chip><span className="brief-age"><Ago time={incident.opened_at} /></span></Link></li>
        ))}
      </ul>
    </Panel>
  );
}

/** As many as a person looks at before anything is done about the first. */
const AT_RISK_MAX = 8;

function AtRisk() {
  const { t, n, term, titled } = useSpeech();
  const answer = useQuery({ queryKey: ["alerts", "risk"], queryFn: ({ signal }) => get<EntityRisks>("/entities/risk", { limit: AT_RISK_MAX }, signal) });
  const entities = answer.data?.entities ?? [];
  return (
    <Panel title={t("overview.atRisk")} aside={<span className="quiet">{t("overview.atRiskHint")}</span>} flush>
      {answer.isError ? <ErrorNote error={answer.error} /> : null}
      {answer.isSuccess && entities.length === 0 ? <Empty title={t("overview.noRisk")} /> : null}
      <ul className="brief">
        {entities.map((it) => (
          <li key={`${it.kind} ${it.value}`}><Link href={`/alerts?status=all&entity=${encodeURIComponent(`${it.kind}:${it.value}`)}`}><span className="brief-sev"><Severity level={it.level} /></span><span className="brief-title"><span className="brief-why">{term("entity", it.kind)}</span> <Outside text={it.value} />{it.rules[0] ? <span className="brief-why"> <Outside text={titled(it.rules[0])} />{it.rules.length > 1 ? ` ${t("overview.andMore", { n: it.rules.length - 1 })}` : ""}</span> : null}</span><Chip>{n(Math.round(it.score))}</Chip><span className="brief-age"><Ago time={it.newest} /></span></Link></li>
        ))}
      </ul>
    </Panel>
  );
}

function Flow({ overview }: { overview: Overview }) {
  const { t, n } = useSpeech();
  const { events, sources, integrity } = overview;
  return (
    <Panel title={t("overview.flow")} aside={<Link href="/sources">{t("nav.sources")}</Link>}>
      <div className="flow">
        <div><span className="flow-n">{n(events.last_minute)}</span> <span className="quiet">{t("overview.lastMinute")}</span></div>
        <Sparkline values={events.per_minute} label={t("overview.perMinute")} width={420} height={56} />
        <dl className="facts">
          <div><dt>{t("overview.events")}</dt><dd><Link href="/search?from=all">{n(events.total)}</Link></dd></div>
          <div><dt>{t("nav.sources")}</dt><dd>{n(sources.total)}{sources.silent > 0 ? <> <Chip tone="warn">{t("overview.silent", { n: sources.silent })}</Chip></> : null}</dd></div>
          <div><dt>{t("sources.rejected")}</dt><dd><Link href="/sources">{n(sources.rejected)}</Link></dd></div>
          <div><dt><IconShield size={14} aria-hidden /> {t("overview.checkpoint")}</dt><dd>{integrity.last_checkpoint ? <Ago time={integrity.last_checkpoint} /> : t("overview.noCheckpoint")}</dd></div>
        </dl>
      </div>
    </Panel>
  );
}

function Times({ overview }: { overview: Overview }) {
  const { t, span } = useSpeech();
  const times = [["mttd", overview.mttd_secs], ["mtta", overview.mtta_secs], ["mttr", overview.mttr_secs]] as const;
  return (
    <Panel title={t("overview.times")}>
      <dl className="times">
        {times.map(([name, secs]) => <div key={name}><dt title={t(`overview.${name}Hint`)}>{t(`overview.${name}`)}</dt><dd>{secs === null || secs === undefined ? <span className="quiet">–</span> : span(secs)}</dd><dd className="times-hint">{t(`overview.${name}Hint`)}</dd></div>)}
      </dl>
    </Panel>
  );
}

export function OverviewPage() {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  const answer = useQuery({ queryKey: ["overview"], queryFn: ({ signal }) => get<Overview>("/overview", {}, signal), enabled: can("read_alerts"), refetchInterval: 30_000 });
  const data = answer.data;
  if (!can("read_alerts")) return <Page title={t("nav.overview")}><Empty title={t("overview.notYou")} hint={t("error.forbiddenHint")} /></Page>;
  if (answer.isError && !data) return <Page title={t("nav.overview")}><ErrorNote error={answer.error} retry={() => void answer.refetch()} /></Page>;
  if (!data) return <Loading />;
  const waiting = data.runs?.waiting ?? 0;
  const urgent = (data.alerts.by_level.critical ?? 0) + (data.alerts.by_level.high ?? 0);
  return (
    <Page title={t("nav.overview")}>
      <div className="tiles">
        <Tile label={t("overview.waiting")} value={n(waiting)} note={t(waiting ? "overview.waitingNote" : "overview.nothingWaits")} href="/incidents" urgent={waiting > 0} />
        <Tile label={t("overview.openAlerts")} value={n(data.alerts.open)} note={t("overview.urgent", { n: urgent })} href="/alerts" />
        <Tile label={t("overview.openIncidents")} value={n(data.incidents?.open ?? 0)} note={data.incidents?.contained ? t("overview.contained", { n: data.incidents.contained }) : undefined} href="/incidents?status=open" />
        <Tile label={t("nav.effects")} value={n(data.open_effects ?? 0)} note={t("overview.effectsNote")} href="/effects" />
      </div>
      <div className="overview-grid">
        <div className="stack">
          <AlertKinds />
          <Incidents />
          <AtRisk />
        </div>
        <div className="stack">
          <Panel title={t("overview.byLevel")} aside={<Link href="/alerts">{t("nav.alerts")}</Link>}><Levels counts={data.alerts.by_level} /></Panel>
          <Flow overview={data} />
          <Times overview={data} />
        </div>
      </div>
    </Page>
  );
}
