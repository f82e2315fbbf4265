// One event in full: its fields, as JSON, as it came, what was around it, and which rules it met.
import { ActionIcon, Button, Tabs, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { Link } from "wouter";
import { get } from "../../api/client";
import type { EventDetail, LogEvent } from "../../api/types";
import { IconClose, IconColumn, IconMinus, IconPlus } from "../../icons";
import { useSpeech } from "../../i18n";
import { kindOf, message, placeOf, telling } from "../../lib/events";
import { texts } from "../../lib/query";
import { visible } from "../../lib/escape";
import { ErrorNote, Loading } from "../../ui/notes";
import { Chip, Copy, Outside, Severity, Stamp } from "../../ui/parts";
import { EventProof } from "./EventProof";

export interface EventActs {
  onInclude?: (field: string, value: string) => void;
  onExclude?: (field: string, value: string) => void;
  onColumn?: (field: string) => void;
  onAround?: (time: string, secs: number) => void;
  onOpenPlace?: (place: string) => void;
}

/** A field's name, broken at its dots where it must break. */
function Dotted({ name }: { name: string }) {
  return <>{visible(name).split(".").map((part, at) => <Fragment key={at}>{at > 0 ? <>.<wbr /></> : null}{part}</Fragment>)}</>;
}

export function FieldTable({ event, acts, lit = [] }: { event: LogEvent; acts: EventActs; lit?: string[] }) {
  const { t } = useSpeech();
  const names = Object.keys(event.fields).sort();
  return (
    <table className="field-table">
      <tbody>
        {names.map((name) => {
          const values = texts(event.fields[name]);
          const isLit = lit.includes(name);
          return (
            <tr key={name} className={isLit ? "lit" : undefined}>
              <th scope="row"><Dotted name={name} />{isLit ? <span className="lit-tag">{t("alert.matchedHere")}</span> : null}</th>
              <td>
                {values.map((value, at) => (
                  <div className="field-value" key={at}>
                    <span className="mono"><Outside text={value} /></span>
                    <span className="field-acts">
                      {acts.onInclude ? <ActionIcon size={18} aria-label={t("value.include", { value: visible(value) })} onClick={() => acts.onInclude?.(name, value)}><IconPlus size={12} /></ActionIcon> : null}
                      {acts.onExclude ? <ActionIcon size={18} aria-label={t("value.exclude", { value: visible(value) })} onClick={() => acts.onExclude?.(name, value)}><IconMinus size={12} /></ActionIcon> : null}
                      {acts.onColumn ? <ActionIcon size={18} aria-label={`${t("fields.columnOn")}: ${name}`} onClick={() => acts.onColumn?.(name)}><IconColumn size={12} /></ActionIcon> : null}
                      <Copy text={value} />
                    </span>
                  </div>
                ))}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Code({ text }: { text: string }) {
  return (
    <div className="code">
      <div className="code-copy"><Copy text={text} /></div>
      <pre tabIndex={0}><Outside text={text} lines /></pre>
    </div>
  );
}

/** JSON is laid out, anything else is shown as it came. */
function rawText(raw: string): string {
  try {
    return JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    return raw;
  }
}

function Neighbour({ event, onOpen }: { event: LogEvent; onOpen?: ((place: string) => void) | undefined }) {
  const text = message(event) || telling(event).map((told) => `${told.name}=${told.value}`).join("  ") || event.raw;
  return (
    <li>
      <button type="button" className="neighbour" onClick={() => onOpen?.(placeOf(event.position))}>
        <Stamp time={event.time} short />
        <span className="neighbour-kind">{kindOf(event)}</span>
        <span className="neighbour-text"><Outside text={text.slice(0, 300)} /></span>
      </button>
    </li>
  );
}

function Surrounding({ place, event, acts }: { place: string; event: LogEvent; acts: EventActs }) {
  const { t } = useSpeech();
  const around = useQuery({
    queryKey: ["events", "surrounding", place],
    queryFn: ({ signal }) => get<{ before: LogEvent[]; after: LogEvent[] }>(`/events/${place}/surrounding`, { n: 10 }, signal),
    staleTime: Infinity,
  });
  if (around.isError) return <ErrorNote error={around.error} retry={() => void around.refetch()} />;
  if (!around.data) return <Loading />;
  return (
    <>
      {acts.onAround ? (
        <div className="around">
          <span className="minor">{t("event.searchAround")}</span>
          {[10, 60, 300, 3600].map((secs) => <AroundButton key={secs} secs={secs} onPick={() => acts.onAround?.(event.time, secs)} />)}
        </div>
      ) : null}
      <ol className="neighbours">
        {around.data.before.map((other) => <Neighbour key={placeOf(other.position)} event={other} onOpen={acts.onOpenPlace} />)}
        <li className="neighbour-here"><Stamp time={event.time} short /> {t("event.thisOne")}</li>
        {around.data.after.map((other) => <Neighbour key={placeOf(other.position)} event={other} onOpen={acts.onOpenPlace} />)}
      </ol>
    </>
  );
}

function AroundButton({ secs, onPick }: { secs: number; onPick: () => void }) {
  const { span } = useSpeech();
  return <Button size="compact-xs" variant="default" onClick={onPick}>± {span(secs)}</Button>;
}

function Rules({ event }: { event: EventDetail }) {
  const { t, titled } = useSpeech();
  if (event.alerts.length === 0) return <p className="quiet pad">{t("event.noRules")}</p>;
  return (
    <ul className="plain-list pad">
      {event.alerts.map((alert) => (
        <li key={alert.id} className="line"><Severity level={alert.level} /> <Link href={`/alerts/${alert.id}?status=all`}><Outside text={titled(alert)} /></Link></li>
      ))}
    </ul>
  );
}

export function EventPanel({ place, acts, onClose }: { place: string; acts: EventActs; onClose: () => void }) {
  const { t } = useSpeech();
  const [tab, setTab] = useState<string | null>("table");
  const detail = useQuery({
    queryKey: ["events", "one", place],
    queryFn: ({ signal }) => get<EventDetail>(`/events/${place}`, {}, signal),
    staleTime: Infinity,
  });
  const event = detail.data;
  return (
    <aside className="flyout" aria-label={t("event.label")}>
      <header className="flyout-head">
        <div className="flyout-title">
          <h2>{event ? kindOf(event) : t("event.label")}</h2>
          {event ? <Stamp time={event.time} /> : null}
        </div>
        <Tooltip label={t("event.permalink")}>
          <span><Copy text={`${window.location.origin}/search?q=*&event=${place}`} label={t("event.permalink")} /></span>
        </Tooltip>
        <ActionIcon onClick={onClose} aria-label={t("action.close")}><IconClose size={16} /></ActionIcon>
      </header>
      {detail.isError ? <ErrorNote error={detail.error} retry={() => void detail.refetch()} /> : null}
      {detail.isPending ? <Loading /> : null}
      {event ? (
        <Tabs value={tab} onChange={setTab} keepMounted={false} className="flyout-tabs">
          <Tabs.List>
            <Tabs.Tab value="table">{t("event.table")}</Tabs.Tab>
            <Tabs.Tab value="json">JSON</Tabs.Tab>
            <Tabs.Tab value="raw">{t("event.raw")}</Tabs.Tab>
            <Tabs.Tab value="around">{t("event.around")}</Tabs.Tab>
            <Tabs.Tab value="proof">{t("event.proof")}</Tabs.Tab>
            <Tabs.Tab value="rules">{t("event.rules")} <span className="tab-count">{event.alerts.length}</span></Tabs.Tab>
          </Tabs.List>
          <div className="flyout-body">
            <Tabs.Panel value="table">
              {event.rejected ? <p className="pad"><Chip tone="bad">{t("event.rejected")}</Chip> <Outside text={event.rejected} /></p> : null}
              <FieldTable event={event} acts={acts} />
              <dl className="facts">
                <div><dt>{t("event.received")}</dt><dd><Stamp time={event.received} /></dd></div>
                <div><dt>{t("event.source")}</dt><dd>{event.source}</dd></div>
                <div><dt>{t("event.position")}</dt><dd className="mono">{place}</dd></div>
              </dl>
            </Tabs.Panel>
            <Tabs.Panel value="json"><Code text={JSON.stringify(event.fields, null, 2)} /></Tabs.Panel>
            <Tabs.Panel value="raw"><Code text={rawText(event.raw)} /></Tabs.Panel>
            <Tabs.Panel value="around"><Surrounding place={place} event={event} acts={acts} /></Tabs.Panel>
            <Tabs.Panel value="proof"><EventProof place={place} /></Tabs.Panel>
            <Tabs.Panel value="rules"><Rules event={event} /></Tabs.Panel>
          </div>
        </Tabs>
      ) : null}
    </aside>
  );
}
