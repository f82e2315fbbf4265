// One alert: why it was raised, who it is about, how earlier ones were judged, and its events.
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get } from "../../api/client";
import type { AlertDetail, Matched } from "../../api/types";
import { useSigned } from "../../app/session";
import { IconClose } from "../../icons";
import { useSpeech } from "../../i18n";
import { kindOf, placeOf } from "../../lib/events";
import { ErrorNote, Loading } from "../../ui/notes";
import { Copy, Entities, Outside, Severity, Stamp } from "../../ui/parts";
import { FieldTable } from "../search/EventPanel";
import { StatusChip } from "./AlertList";

export type Act = "acknowledge" | "escalate" | "true_positive" | "false_positive" | "benign";

interface Props {
  id: string;
  onAct: (act: Act) => void;
  onClose: () => void;
}

function Why({ matched }: { matched: Matched[] }) {
  const { t } = useSpeech();
  return (
    <table className="why">
      <thead><tr><th>{t("alert.field")}</th><th>{t("alert.asked")}</th><th>{t("alert.found")}</th></tr></thead>
      <tbody>
        {matched.map((item, at) => (
          <tr key={at}>
            <td><span className="mono">{item.field ? <Outside text={item.field} /> : t("alert.keyword")}</span><span className="why-part"><Outside text={item.selection} /></span></td>
            <td className="mono"><Outside text={item.pattern} /></td>
            <td className="mono"><mark><Outside text={item.value} /></mark></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Prior({ prior }: { prior: AlertDetail["prior"] }) {
  const { t, n, term } = useSpeech();
  const total = prior.true_positive + prior.false_positive + prior.benign;
  if (total === 0) return <p className="quiet">{t("alert.noPrior")}</p>;
  const parts = (["true_positive", "false_positive", "benign"] as const).map((verdict) => ({ verdict, count: prior[verdict] }));
  let x = 0;
  return (
    <>
      <svg className="prior" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden>
        {parts.map(({ verdict, count }) => {
          const width = (100 * count) / total;
          x += width;
          return <rect key={verdict} x={x - width} width={width} height={6} className={`prior-${verdict}`} />;
        })}
      </svg>
      <p className="prior-text">
        {parts.map(({ verdict, count }) => <span key={verdict}><span className={`dot prior-${verdict}`} aria-hidden />{term("verdict", verdict)} {n(count)}</span>)}
      </p>
    </>
  );
}

function Acts({ onAct, closed }: { onAct: (act: Act) => void; closed: boolean }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  if (!can("triage")) return null;
  const act = (name: Act, label: Parameters<typeof t>[0], key: string, variant: string, off = false) => (
    <Tooltip label={<>{t("action.key")} {key}</>}>
      <Button variant={variant} size="compact-sm" onClick={() => onAct(name)} disabled={off}>{t(label)}</Button>
    </Tooltip>
  );
  return (
    <div className="acts">
      {act("escalate", "alert.escalate", "e", "filled")}
      {act("acknowledge", "alert.acknowledge", "a", "default", closed)}
      {act("true_positive", "verdict.true_positive", "t", "default", closed)}
      {act("false_positive", "verdict.false_positive", "f", "default", closed)}
      {act("benign", "verdict.benign", "b", "default", closed)}
    </div>
  );
}

/** The event fields that the rule's fields stand for: those that hold a matched value. */
function litFields(alert: AlertDetail, event: AlertDetail["events"][number]): string[] {
  const values = new Set(alert.matched.map((item) => item.value));
  return Object.entries(event.fields)
    .filter(([name, value]) => alert.matched.some((item) => item.field === name) || values.has(String(value)))
    .map(([name]) => name);
}

function Suppressed({ suppressed }: { suppressed: NonNullable<AlertDetail["suppressed"]> }) {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  return (
    <div className="said">
      <p>{t("alert.suppressed", { n: n(suppressed.matches) })} <Stamp time={suppressed.last} /></p>
      {can("read_events") ? <p className="line">{[...suppressed.samples].reverse().slice(0, 10).map((place) => <Link key={place} href={`/search?q=*&event=${place}&from=all`}>{place}</Link>)}</p> : null}
    </div>
  );
}

export function AlertPanel({ id, onAct, onClose }: Props) {
  const { t, n, titled } = useSpeech();
  const { can } = useSigned();
  const detail = useQuery({ queryKey: ["alert", id], queryFn: ({ signal }) => get<AlertDetail>(`/alerts/${id}`, {}, signal) });
  const alert = detail.data;
  const rule = alert?.rule;
  return (
    <aside className="flyout flyout-wide" aria-label={t("alert.label")}>
      <header className="flyout-head">
        <div className="flyout-title">
          <h2>{alert ? <Outside text={titled(alert)} /> : t("alert.label")}</h2>
          {alert ? <div className="line"><Severity level={alert.level} /> <StatusChip alert={alert} /> <Stamp time={alert.time} /></div> : null}
        </div>
        <Copy text={`${window.location.origin}/alerts/${id}?status=all`} label={t("alert.permalink")} />
        <ActionIcon onClick={onClose} aria-label={t("action.close")}><IconClose size={16} /></ActionIcon>
      </header>
      {detail.isError ? <ErrorNote error={detail.error} retry={() => void detail.refetch()} /> : null}
      {detail.isPending ? <Loading /> : null}
      {alert ? (
        <div className="flyout-body">
          <Acts onAct={onAct} closed={alert.status === "closed"} />
          {alert.verdict ? <p className="said"><StatusChip alert={alert} /> {alert.by ? <strong>{alert.by}</strong> : null} {alert.reason ? <>“<Outside text={alert.reason} />”</> : null}</p> : null}
          {alert.incident ? <p className="said">{t("alert.inIncident")} <Link href={`/incidents/${alert.incident}`}>{alert.incident}</Link></p> : null}
          <h3>{t("alert.why")}</h3>
          <Why matched={alert.matched} />
          {alert.entities?.length ? <><h3>{t("entity.label")}</h3><Entities entities={alert.entities} /></> : null}
          <h3>{t("alert.prior")}</h3>
          <Prior prior={alert.prior} />
          <h3>{t("alert.rule")}</h3>
          <p className="line">{rule ? <Link href={`/rules/${encodeURIComponent(rule.id)}`}><Outside text={titled(rule)} /></Link> : null} <span className="quiet mono small">{alert.rule_version.slice(0, 12)}</span></p>
          {alert.tags?.length ? <p className="line">{alert.tags.map((tag) => <span key={tag} className="chip chip-plain">{tag}</span>)}</p> : null}
          <h3>{t("alert.events", { n: alert.positions.length })} <span className="tab-count">{n(alert.positions.length)}</span></h3>
          {alert.events.length === 0 ? <p className="quiet">{t("alert.eventsHidden")}</p> : null}
          {alert.positions.length > alert.events.length && alert.events.length > 0 ? <p className="quiet">{t("alert.eventsFirst", { n: alert.events.length })}</p> : null}
          {alert.suppressed ? <Suppressed suppressed={alert.suppressed} /> : null}
          {alert.events.map((event) => (
            <details key={placeOf(event.position)} className="alert-event" open={alert.events.length === 1}>
              <summary>
                <Stamp time={event.time} /> <span className="quiet">{kindOf(event)}</span>
              </summary>
              <p className="line">
                {can("read_events") ? <Link href={`/search?q=*&event=${placeOf(event.position)}&from=${encodeURIComponent(new Date(Date.parse(event.time) - 300_000).toISOString())}&to=${encodeURIComponent(new Date(Date.parse(event.time) + 300_000).toISOString())}`}>{t("alert.inSearch")}</Link> : null}
              </p>
              <FieldTable event={event} acts={{}} lit={litFields(alert, event)} />
              <pre className="raw" tabIndex={0}><Outside text={event.raw} lines /></pre>
            </details>
          ))}
        </div>
      ) : null}
    </aside>
  );
}
