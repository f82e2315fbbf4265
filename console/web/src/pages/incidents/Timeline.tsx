// What happened to an incident, in the order it was told; every line with its time and who did it.
import { useMemo, useState } from "react";
import { SegmentedControl } from "@mantine/core";
import type { TimelineItem } from "../../api/respond";
import { useSpeech, type Speech } from "../../i18n";
import { actorText } from "../../lib/format";
import { Outside, Stamp } from "../../ui/parts";

/** Told by another fact of the same commit: the run's or task's own opening. */
const REPEATED = new Set(["run_attached", "task_attached"]);

type Named = Record<string, unknown>;

const named = (value: unknown): Named => (typeof value === "object" && value !== null ? (value as Named) : {});
const text = (value: unknown): string => (typeof value === "string" || typeof value === "number" ? String(value) : "");

/** The one thing a line says beside its kind. */
function main(item: TimelineItem, titled: Speech["titled"]): string {
  const of = (value: unknown): string => titled({ title: text(named(value).title), title_zh: text(named(value).title_zh) });
  return text((item as Named).text) || of(item) || of(item.alert) || of(item.evidence) || of(item.order) || of(item.plan);
}

/** What else a fact says, in short: names of details and their values. */
function details(item: TimelineItem): [string, string][] {
  const answer = named(item.answer);
  const phase = text(item.phase);
  const found: [string, unknown][] = [
    ["run", item.of === "run" ? item.run : undefined], ["task", item.of === "task" ? item.task : undefined],
    ["step", item.step], ["phase", phase === "act" ? "" : phase], ["target", named(item.actioned).target],
    ["outcome", answer.outcome], ["detail", answer.detail ?? item.detail], ["owner", item.owner], ["reason", item.reason],
    ["resolution", item.resolution], ["status", item.status], ["note", item.note],
  ];
  return found.map(([name, value]): [string, string] => [name, text(value)]).filter(([, value]) => value !== "");
}

const GROUPS: Record<string, RegExp> = {
  people: /comment|assign|approv|denied|signed|closed|contained|reopened|resolved|judged|started|done$/,
  alerts: /alert/,
  runs: /run|step|intended|resulted|approv|denied|undo|doubt|finished|skipped|resumed|refused/,
};

/** What else belongs to a group, by what the facts are about. */
const OF: Record<string, string> = { runs: "run" };

function Line({ item }: { item: TimelineItem }) {
  const { term, titled } = useSpeech();
  const said = main(item, titled);
  const own = `${item.of}_${item.kind}`;
  const kind = term("timeline", own) === own ? item.kind : own;
  const who = actorText(item.actor);
  const isPerson = typeof item.actor === "object" && item.actor !== null && item.actor.kind !== "system";
  return (
    <li className={`event-line kind-${item.kind}`}>
      <span className={isPerson ? "event-dot event-person" : "event-dot"} aria-hidden />
      <div className="event-when"><Stamp time={item.at} short /></div>
      <div className="event-what">
        <span className="event-kind">{term("timeline", kind)}</span>
        {said ? <span className="event-text"><Outside text={said} lines /></span> : null}
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
  const shown = useMemo(() => items.filter((item) => !REPEATED.has(item.kind) && (show === "all" || GROUPS[show]?.test(item.kind) || item.of === OF[show])), [items, show]);
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
