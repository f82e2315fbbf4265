// The found events, newest first; only the rows in view are in the page.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { LogEvent } from "../../api/types";
import { useSpeech } from "../../i18n";
import { kindOf, message, placeOf, telling } from "../../lib/events";
import { texts } from "../../lib/query";
import { Chip, Outside, Stamp } from "../../ui/parts";

/** One line of text and its padding. */
const ROW = 29;
/** What does not fit into a row need not be in the page: a message may have 256 KiB. */
const SHOWN_MAX = 400;

interface Props {
  events: LogEvent[];
  columns: string[];
  at: number;
  openPlace: string;
  total: number | undefined;
  more: boolean;
  onAt: (at: number) => void;
  onOpen: (event: LogEvent) => void;
  onEnd: () => void;
}

function Summary({ event }: { event: LogEvent }) {
  const said = message(event);
  if (event.rejected) {
    return <><Chip tone="bad"><Outside text={event.rejected.slice(0, 80)} /></Chip> <Outside text={said.slice(0, SHOWN_MAX)} /></>;
  }
  if (said) return <Outside text={said.slice(0, SHOWN_MAX)} />;
  const told = telling(event);
  if (told.length === 0) return <Outside text={event.raw.slice(0, SHOWN_MAX)} />;
  return (
    <>
      {told.map(({ name, value }) => (
        <span key={name} className="pair"><span className="pair-name">{name}</span><Outside text={value.slice(0, SHOWN_MAX)} /></span>
      ))}
    </>
  );
}

export function ResultList(props: Props) {
  const { events, columns, at, onAt, onOpen, onEnd } = props;
  const { t } = useSpeech();
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: events.length, getScrollElement: () => scroll.current, estimateSize: () => ROW, overscan: 12 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (props.more && last >= events.length - 20) onEnd();
  }, [last, events.length, props.more, onEnd]);
  useEffect(() => {
    if (at >= 0) rows.scrollToIndex(at, { align: "auto" });
  }, [at]);
  const onKey = (event: React.KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      onAt(Math.max(0, Math.min(events.length - 1, at + step)));
    }
    const chosen = events[at];
    if (event.key === "Enter" && chosen) (event.preventDefault(), onOpen(chosen));
  };
  return (
    <div className="results" ref={scroll} role="grid" tabIndex={0} aria-label={t("search.results")} aria-rowcount={props.total ?? events.length}
      aria-activedescendant={at >= 0 ? `event-${at}` : undefined} onKeyDown={onKey}>
      <div className="row row-head" role="row">
        <span role="columnheader" className="col-time">{t("event.time")}</span>
        <span role="columnheader" className="col-kind">{t("event.kind")}</span>
        {columns.length === 0 ? <span role="columnheader" className="col-text">{t("event.summary")}</span> : null}
        {columns.map((name) => <span key={name} role="columnheader" className="col-field" title={name}>{name}</span>)}
      </div>
      <div className="results-all" role="rowgroup" style={{ height: rows.getTotalSize() }}>
        {items.map((item) => {
          const event = events[item.index];
          if (!event) return null;
          const place = placeOf(event.position);
          const here = `${item.index === at ? " row-at" : ""}${place === props.openPlace ? " row-open" : ""}${event.rejected ? " row-rejected" : ""}`;
          return (
            <div key={place} id={`event-${item.index}`} role="row" aria-rowindex={item.index + 1} aria-selected={item.index === at}
              className={`row row-event${here}`} style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => (onAt(item.index), onOpen(event))}>
              <span role="gridcell" className="col-time"><Stamp time={event.time} /></span>
              <span role="gridcell" className="col-kind" title={event.source}>{kindOf(event)}</span>
              {columns.length === 0 ? <span role="gridcell" className="col-text"><Summary event={event} /></span> : null}
              {columns.map((name) => (
                <span key={name} role="gridcell" className="col-field">
                  {texts(event.fields[name]).map((value) => <Outside key={value} text={value.slice(0, SHOWN_MAX)} />)}
                </span>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
