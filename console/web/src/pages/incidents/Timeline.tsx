// What happened to an incident, newest last as it was told; every line with its time and who did it.
import { useMemo, useState } from "react";
import { SegmentedControl } from "@mantine/core";
import type { TimelineItem } from "../../api/respond";
import { useSpeech } from "../../i18n";
import { actorText } from "../../lib/format";
import { Outside, Stamp } from "../../ui/parts";

/** Fields that the line itself shows; the others stand behind it. */
const KNOWN = new Set(["at", "actor", "kind", "position", "title", "text", "hash"]);

function plain(value: unknown): string {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "object") return String(value);
  const named = value as { title?: string; name?: string; id?: string };
  return named.title ?? named.name ?? named.id ?? JSON.stringify(value);
}

/** `2 rules, reason: …`: what else the fact says, in short. */
function details(item: TimelineItem): [string, string][] {
  return Object.entries(item)
    .filter(([name]) => !KNOWN.has(name))
    .map(([name, value]): [string, string] => [name, plain(value)])
    .filter(([, text]) => text !== "" && text.length <= 300);
}

const GROUPS: Record<string, RegExp> = {
  people: /comment|assign|approv|denied|signed|closed|contained|reopened|resolved|judged|started|done$/,
  alerts: /alert/,
  runs: /run|step|intended|resulted|approv|denied|undo|doubt|finished|skipped|resumed|refused/,
};

function Line({ item }: { item: TimelineItem }) {
  const { term } = useSpeech();
  const text = plain(item.title) || plain(item.text);
  const who = actorText(item.actor);
  const isPerson = typeof item.actor === "object" && item.actor !== null && item.actor.kind !== "system";
  return (
    <li className={`event-line kind-${item.kind}`}>
      <span className={isPerson ? "event-dot event-person" : "event-dot"} aria-hidden />
      <div className="event-when"><Stamp time={item.at} short /></div>
      <div className="event-what">
        <span className="event-kind">{term("timeline", item.kind)}</span>
        {text ? <span className="event-text"><Outside text={text} lines /></span> : null}
        <span className="event-details">
          {details(item).map(([name, value]) => (
            <span key={name}><span className="quiet">{term("detail", name)}</span> <Outside text={["outcome", "status", "phase", "resolution", "verdict"].includes(name) ? term(name === "phase" ? "phase" : "stepStatus", value) : value} /></span>
          ))}
        </span>
      </div>
      <div className="event-who">{term("actor", who)}</div>
    </li>
  );
}

export function Timeline({ items }: { items: TimelineItem[] }) {
  const { t } = useSpeech();
  const [show, setShow] = useState("all");
  const shown = useMemo(() => items.filter((item) => show === "all" || GROUPS[show]?.test(item.kind)), [items, show]);
  return (
    <>
      <div className="timeline-filter">
        <SegmentedControl aria-label={t("timeline.filter")} value={show} onChange={setShow}
          data={[{ value: "all", label: t("timeline.all") }, { value: "people", label: t("timeline.people") }, { value: "alerts", label: t("nav.alerts") }, { value: "runs", label: t("timeline.runs") }]} />
      </div>
      <ol className="timeline">
        {shown.map((item, at) => <Line key={`${item.at} ${item.kind} ${at}`} item={item} />)}
      </ol>
      {shown.length === 0 ? <p className="quiet pad">{t("timeline.none")}</p> : null}
    </>
  );
}
