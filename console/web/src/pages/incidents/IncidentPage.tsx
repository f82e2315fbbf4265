// One incident: what waits for a person first, then runs, what happened, and beside it who, what and which tasks.
import { Button, Menu, Textarea, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useParams } from "wouter";
import { get, post, withQuery } from "../../api/client";
import type { AlertRef, Incident, OpenEffect } from "../../api/respond";
import { useSigned } from "../../app/session";
import { IconPlay, IconShield } from "../../icons";
import { useSpeech } from "../../i18n";
import { actorText } from "../../lib/format";
import { EffectTable } from "../EffectsPage";
import { ErrorNote, Loading } from "../../ui/notes";
import { Ago, Chip, Entities, Outside, Panel, Severity, Stamp } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";
import { STATUS_TONE } from "./IncidentsPage";
import { ApprovalCard, isWaiting, RunCard, STALE } from "./RunCard";
import { RunDialog } from "./RunDialog";
import { TaskList } from "./TaskList";
import { Timeline } from "./Timeline";

type Status = "open" | "contained" | "closed";

function Comments({ incident }: { incident: Incident }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [text, setText] = useState("");
  const send = useAct<string>({ act: (said) => post(`/incidents/${incident.id}/comment`, { text: said }), stale: STALE, then: () => setText("") });
  const give = () => text.trim() && send.mutate(text.trim());
  const comments = incident.timeline.filter((item) => item.of === "incident" && item.kind === "commented");
  return (
    <>
      {comments.length === 0 ? <p className="quiet">{t("comment.none")}</p> : null}
      <ul className="comments">
        {comments.map((comment, at) => (
          <li key={at}><div className="comment-head"><strong>{actorText(comment.actor)}</strong> <Ago time={comment.at} /></div><p><Outside text={String(comment.text ?? "")} lines /></p></li>
        ))}
      </ul>
      {can("triage") || can("respond") ? (
        <form onSubmit={(event) => (event.preventDefault(), give())}>
          <Textarea aria-label={t("comment.write")} placeholder={t("comment.write")} value={text} autosize minRows={2} maxLength={4000} onChange={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), give());
            }} />
          <div className="acts"><Button type="submit" variant="default" loading={send.isPending} disabled={!text.trim()}>{t("comment.send")}</Button></div>
        </form>
      ) : null}
    </>
  );
}

function Head({ incident, onRun }: { incident: Incident; onRun: () => void }) {
  const { t, term, titled } = useSpeech();
  const { can, session } = useSigned();
  const [asking, setAsking] = useState<Status | null>(null);
  const assign = useAct({ act: () => post(`/incidents/${incident.id}/assign`, { owner: session.user.name }), told: () => t("incident.yours"), stale: STALE });
  const status = useAct<{ status: Status; reason: string }>({
    act: ({ status: next, reason }) => post(`/incidents/${incident.id}/status`, { status: next, ...(reason ? { reason } : {}) }),
    told: (_, { status: next }) => `${incident.id}: ${term("incidentStatus", next)}`, stale: STALE, then: () => setAsking(null), quietError: true,
  });
  const next = (["contained", "closed", "open"] as const).filter((name) => name !== incident.status);
  return (
    <header className="incident-head">
      <div className="incident-title">
        <div className="line"><Link href="/incidents" className="quiet">{t("nav.incidents")}</Link><span className="quiet">/</span><span className="mono">{incident.id}</span></div>
        <h1><Outside text={titled(incident)} /></h1>
        <div className="line">
          <Severity level={incident.level} />
          <Chip tone={STATUS_TONE[incident.status] ?? "plain"}>{term("incidentStatus", incident.status)}</Chip>
          <span><span className="quiet">{t("incidents.owner")}</span> {incident.owner ?? t("incidents.nobody")}</span>
          <span><span className="quiet">{t("incidents.opened")}</span> <Stamp time={incident.opened_at} /></span>
        </div>
      </div>
      {can("respond") || can("triage") || can("read_events") ? (
        <div className="acts">
          {can("read_events") ? <Tooltip label={t("incident.exportHint")} multiline w={280}><Button component="a" href={withQuery(`/incidents/${incident.id}/evidence`)} download={`${incident.id}.evidence.jsonl`} variant="default" leftSection={<IconShield size={14} />}>{t("incident.export")}</Button></Tooltip> : null}
          {!can("respond") && !can("triage") ? null : <>
          {incident.owner !== session.user.name ? <Button variant="default" loading={assign.isPending} onClick={() => assign.mutate()}>{t("incident.take")}</Button> : null}
          <Menu position="bottom-end">
            <Menu.Target><Button variant="default">{t("incident.setStatus")}</Button></Menu.Target>
            <Menu.Dropdown>{next.map((name) => <Menu.Item key={name} onClick={() => (status.reset(), setAsking(name))}>{t(`incident.to.${name}`)}</Menu.Item>)}</Menu.Dropdown>
          </Menu>
          {can("respond") ? <Button leftSection={<IconPlay size={14} />} onClick={onRun}>{t("runDialog.title")}</Button> : null}
          </>}
        </div>
      ) : null}
      <ReasonDialog opened={asking !== null} required={asking === "closed" && incident.left_open !== ""} intro={asking === "closed" && incident.left_open ? <p className="warn-note">{t("incident.leftOpen")} <Outside text={incident.left_open} /></p> : null} title={asking ? t(`incident.to.${asking}`) : ""} label={t("incident.reason")} act={asking ? t(`incident.to.${asking}`) : ""}
        busy={status.isPending} error={status.error} onClose={() => setAsking(null)} onGive={(reason) => asking && status.mutate({ status: asking, reason })} />
    </header>
  );
}

/** Alerts of one rule in one line: the newest, and how many there are. */
function byRule(alerts: AlertRef[]): { alert: AlertRef; count: number }[] {
  const rules = new Map<string, { alert: AlertRef; count: number }>();
  for (const alert of alerts) {
    const known = rules.get(alert.rule);
    if (known) known.count += 1;
    else rules.set(alert.rule, { alert, count: 1 });
  }
  return [...rules.values()];
}

function AlertLines({ alerts }: { alerts: AlertRef[] }) {
  const { n, titled } = useSpeech();
  return (
    <ul className="plain-list">
      {byRule(alerts).map(({ alert, count }) => (
        <li key={alert.id} className="line alert-line">
          <Severity level={alert.level} />
          <Link href={`/alerts/${alert.id}?status=all&rule=${encodeURIComponent(alert.rule)}`}><Outside text={titled(alert)} /></Link>
          {count > 1 ? <Chip>× {n(count)}</Chip> : null}
          <span className="quiet nowrap"><Ago time={alert.time} /></span>
        </li>
      ))}
    </ul>
  );
}

export function IncidentPage() {
  const { t, n, titled } = useSpeech();
  const { id = "" } = useParams<{ id: string }>();
  const [starting, setStarting] = useState(false);
  const answer = useQuery({ queryKey: ["incident", id], queryFn: ({ signal }) => get<Incident>(`/incidents/${id}`, {}, signal), refetchInterval: 15_000 });
  const effects = useQuery({ queryKey: ["effects", "open"], queryFn: () => get<{ effects: OpenEffect[] }>("/effects", { open: true }) });
  const incident = answer.data;
  const runs = incident?.runs ?? [];
  if (answer.isError && !incident) return <ErrorNote error={answer.error} retry={() => void answer.refetch()} />;
  if (!incident) return <Loading />;
  const waiting = runs.flatMap((run) => run.steps.filter(isWaiting).map((step) => ({ run, step })));
  const ids = new Set(runs.map((run) => run.id));
  const open = (effects.data?.effects ?? []).filter((effect) => ids.has(effect.run));
  const people = incident.tasks;
  return (
    <div className="page incident">
      <Head incident={incident} onRun={() => setStarting(true)} />
      {waiting.map(({ run, step }) => <ApprovalCard key={`${run.id} ${step.name} ${step.hash ?? ""}`} run={run} step={step} />)}
      <div className="incident-grid">
        <div className="incident-main">
          {runs.length > 0 ? <Panel title={t("incident.runs")} aside={n(runs.length)}>{runs.map((run) => <RunCard key={run.id} run={run} />)}</Panel> : (
            <Panel title={t("incident.runs")}><p className="quiet">{t("incident.noRuns")}</p></Panel>
          )}
          {open.length > 0 ? <Panel title={t("nav.effects")} aside={n(open.length)} flush><EffectTable effects={open} /></Panel> : null}
          <Panel title={t("incident.timeline")} aside={n(incident.timeline.length)}><Timeline items={incident.timeline} /></Panel>
        </div>
        <div className="incident-side">
          {incident.entities.length > 0 ? <Panel title={t("entity.label")}><Entities entities={incident.entities} /></Panel> : null}
          <Panel title={t("nav.alerts")} aside={n(incident.alerts_total)}><AlertLines alerts={incident.alerts} /></Panel>
          <Panel title={t("incident.tasks")} aside={people.length ? n(people.length) : null}><TaskList tasks={people} /></Panel>
          {incident.evidence.length > 0 ? (
            <Panel title={t("incident.evidence")} aside={n(incident.evidence.length)}>
              <ul className="plain-list">
                {incident.evidence.map((item, at) => (
                  <li key={at} className="evidence">
                    <Outside text={titled(item)} /><span className="quiet">{t("incident.evidenceCount", { n: item.count })}</span>
                    {item.query ? <Link className="evidence-query mono" href={`/search?q=${encodeURIComponent(item.query)}&from=${encodeURIComponent(item.from)}&to=${encodeURIComponent(item.to)}`}><Outside text={item.query} /></Link> : null}
                    {item.sha256 ? <span className="mono quiet small hash">SHA-256 {item.sha256.slice(0, 16)}…</span> : null}
                  </li>
                ))}
              </ul>
            </Panel>
          ) : null}
          <Panel title={t("comment.title")} aside={incident.comments ? n(incident.comments) : null}><Comments incident={incident} /></Panel>
        </div>
      </div>
      <RunDialog incident={incident} opened={starting} onClose={() => setStarting(false)} />
    </div>
  );
}
