// The queue of alerts: rows to move over by keys, each with its severity, its age and who it is about.
import { Checkbox } from "@mantine/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import type { Alert } from "../../api/types";
import { useSpeech } from "../../i18n";
import { visible } from "../../lib/escape";
import { Ago, Chip, Outside, Severity } from "../../ui/parts";

const ROW = 44;

interface Props {
  alerts: Alert[];
  total: number;
  at: number;
  open: string | undefined;
  chosen: ReadonlySet<string>;
  more: boolean;
  onAt: (at: number) => void;
  onOpen: (alert: Alert) => void;
  onToggle: (at: number, range: boolean) => void;
  onEnd: () => void;
}

export function StatusChip({ alert }: { alert: Pick<Alert, "status" | "verdict" | "incident"> }) {
  const { term } = useSpeech();
  if (alert.verdict) return <Chip tone={alert.verdict === "true_positive" ? "bad" : "good"}>{term("verdict", alert.verdict)}</Chip>;
  if (alert.incident) return <Chip tone="info">{alert.incident}</Chip>;
  return <Chip tone={alert.status === "open" ? "warn" : "plain"}>{term("alertStatus", alert.status)}</Chip>;
}

export function AlertList({ alerts, total, at, open, chosen, more, onAt, onOpen, onToggle, onEnd }: Props) {
  const { t, n, titled } = useSpeech();
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: alerts.length, getScrollElement: () => scroll.current, estimateSize: () => ROW, overscan: 10 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= alerts.length - 10) onEnd();
  }, [last, alerts.length, more, onEnd]);
  useEffect(() => {
    if (at >= 0) rows.scrollToIndex(at, { align: "auto" });
  }, [at]);
  return (
    <div className="alerts-list" ref={scroll} role="grid" tabIndex={0} aria-label={t("alerts.list")} aria-rowcount={total} aria-multiselectable
      aria-activedescendant={at >= 0 ? `alert-${at}` : undefined}>
      <div className="alerts-all" role="rowgroup" style={{ height: rows.getTotalSize() }}>
        {items.map((item) => {
          const alert = alerts[item.index];
          if (!alert) return null;
          const isChosen = chosen.has(alert.id);
          const look = `${item.index === at ? " row-at" : ""}${alert.id === open ? " row-open" : ""}${isChosen ? " row-chosen" : ""}`;
          return (
            <div key={alert.id} id={`alert-${item.index}`} role="row" aria-rowindex={item.index + 1} aria-selected={isChosen}
              className={`alert-row${look}`} style={{ transform: `translateY(${item.start}px)` }}
              onClick={() => (onAt(item.index), onOpen(alert))}>
              <span role="gridcell" className="alert-check" onClick={(event) => event.stopPropagation()}>
                <Checkbox size="xs" checked={isChosen} tabIndex={-1} aria-label={t("alerts.choose", { title: visible(titled(alert)) })}
                  onChange={(event) => onToggle(item.index, (event.nativeEvent as MouseEvent).shiftKey)} />
              </span>
              <span role="gridcell" className="alert-sev"><Severity level={alert.level} /></span>
              <span role="gridcell" className="alert-text">
                <span className="alert-title"><Outside text={titled(alert)} />{alert.suppressed ? <span className="alert-more"> {t("alerts.more", { n: n(alert.suppressed.matches) })}</span> : null}</span>
                <span className="alert-who">
                  {(alert.entities ?? []).slice(0, 4).map((entity) => <Outside key={entity.kind + entity.value} text={entity.value} />)}
                </span>
              </span>
              <span role="gridcell" className="alert-state"><StatusChip alert={alert} /></span>
              <span role="gridcell" className="alert-age"><Ago time={alert.time} /></span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
