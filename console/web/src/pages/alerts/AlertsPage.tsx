// The alert queue: filter, move by keys, judge one, some, or all that match.
import { Button, Checkbox } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useLocation, useParams } from "wouter";
import { get } from "../../api/client";
import type { Alert, AlertFilter, AlertsPage as Answer, Verdict } from "../../api/types";
import { useKeys } from "../../app/keys";
import { useSigned } from "../../app/session";
import { useSpeech } from "../../i18n";
import { useUrl, writeUrl } from "../../lib/url";
import { Empty, ErrorNote, Loading } from "../../ui/notes";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";
import { acknowledge, judge, STALE, type Target } from "./acts";
import { AlertGroups } from "./AlertGroups";
import { AlertList } from "./AlertList";
import { AlertPanel, type Act } from "./AlertPanel";
import { EscalateDialog } from "./EscalateDialog";
import { Filters } from "./Filters";

const PAGE = 100;

function useAlerts(filter: AlertFilter, group: string) {
  return useInfiniteQuery({
    queryKey: ["alerts", "list", filter, group],
    queryFn: ({ pageParam, signal }) => get<Answer>("/alerts", { ...filter, group, limit: PAGE, after: pageParam }, signal),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export function AlertsPage() {
  const { t, n, term, titled } = useSpeech();
  const { can } = useSigned();
  const [url, setUrl] = useUrl();
  const { id: open } = useParams<{ id?: string }>();
  const [, go] = useLocation();
  const filter: AlertFilter = useMemo(
    () => ({ status: url.status ?? "open", level: url.level ?? "", rule: url.rule ?? "", entity: url.entity ?? "", query: url.q ?? "" }),
    [url.status, url.level, url.rule, url.entity, url.q],
  );
  const group = url.rule || url.entity ? "" : (url.group ?? "");
  const answer = useAlerts(filter, group);
  const alerts = useMemo(() => answer.data?.pages.flatMap((page) => page.alerts ?? []) ?? [], [answer.data]);
  const groups = useMemo(() => answer.data?.pages.flatMap((page) => page.groups ?? []) ?? [], [answer.data]);
  const total = answer.data?.pages[0]?.total;
  const hidden = answer.data?.pages[0]?.hidden;

  const [at, setAt] = useState(-1);
  const [anchor, setAnchor] = useState(-1);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [whole, setWhole] = useState(false);
  const [asking, setAsking] = useState<Verdict | null>(null);
  const [escalating, setEscalating] = useState<string[] | null>(null);
  useEffect(() => {
    setAt(-1);
    setChosen(new Set());
    setWhole(false);
  }, [filter, group]);

  const show = useCallback((alert: Alert | undefined) => {
    go(`/alerts${alert ? `/${alert.id}` : ""}${writeUrl(Object.fromEntries(new URLSearchParams(window.location.search)))}`, { replace: true });
  }, [go]);
  const toggle = (index: number, range: boolean) => {
    const next = new Set(chosen);
    const [low, high] = range && anchor >= 0 ? [Math.min(anchor, index), Math.max(anchor, index)] : [index, index];
    const adds = range || !next.has(alerts[index]?.id ?? "");
    for (const alert of alerts.slice(low, high + 1)) adds ? next.add(alert.id) : next.delete(alert.id);
    setChosen(next);
    setAnchor(index);
    setWhole(false);
  };

  /** What an act is about: all that match, else the chosen ones, else the open one, else where the cursor is. */
  const ids = chosen.size > 0 ? [...chosen] : open ? [open] : alerts[at] ? [alerts[at].id] : [];
  const target: Target = whole ? { filter } : { alerts: ids };
  const count = whole ? (total ?? 0) : ids.length;
  const after = () => {
    setAsking(null);
    setChosen(new Set());
    setWhole(false);
  };
  const acknowledging = useAct<Target, { changed: number }>({ act: acknowledge, told: ({ changed }) => t("alerts.acknowledged", { n: changed }), stale: STALE, then: after });
  const judging = useAct<{ verdict: Verdict; reason: string }, { changed: number }>({
    act: ({ verdict, reason }) => judge(target, verdict, reason),
    told: ({ changed }, { verdict }) => t("alerts.judged", { n: changed, verdict: term("verdict", verdict) }),
    stale: STALE,
    then: after,
    quietError: true,
  });
  const [confirming, setConfirming] = useState(false);
  const act = (name: Act) => {
    if (count === 0 || !can("triage")) return;
    if (name === "escalate") setEscalating(whole ? alerts.map((alert) => alert.id) : ids);
    else if (name === "acknowledge") whole ? setConfirming(true) : acknowledging.mutate(target);
    else (judging.reset(), setAsking(name));
  };
  const step = (by: number) => {
    const next = Math.max(0, Math.min(alerts.length - 1, at + by));
    setAt(next);
    if (open) show(alerts[next]);
  };
  useKeys({
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    x: () => at >= 0 && toggle(at, false), X: () => at >= 0 && toggle(at, true),
    Enter: () => show(alerts[at]), Escape: () => (open ? show(undefined) : setChosen(new Set())),
    a: () => act("acknowledge"), e: () => act("escalate"), t: () => act("true_positive"), f: () => act("false_positive"), b: () => act("benign"),
    "/": () => document.getElementById("alerts-filter")?.focus(),
  });
  const onEnd = useCallback(() => {
    if (answer.hasNextPage && !answer.isFetchingNextPage) void answer.fetchNextPage();
  }, [answer.hasNextPage, answer.isFetchingNextPage, answer.fetchNextPage]);
  const all = alerts.length > 0 && chosen.size >= alerts.length;
  const openAlert = alerts.find((alert) => alert.id === ids[0]);
  const openTitle = openAlert ? titled(openAlert) : "";

  return (
    <div className="queue">
      <header className="page-head"><h1>{t("nav.alerts")}</h1></header>
      <Filters url={url} total={total} hidden={hidden} onChange={(change) => setUrl(change)} />
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {group === "" && alerts.length > 0 && can("triage") ? (
        <div className="bulk" role="toolbar" aria-label={t("alerts.bulk")}>
          <Checkbox size="xs" checked={all || whole} indeterminate={!all && !whole && chosen.size > 0} aria-label={t("alerts.chooseAll")}
            onChange={() => (setWhole(false), setChosen(all ? new Set() : new Set(alerts.map((alert) => alert.id))))} />
          {whole ? <strong>{t("alerts.wholeChosen", { n: total ?? 0 })}</strong> : chosen.size > 0 ? <span>{t("alerts.chosen", { n: chosen.size })}</span> : <span className="quiet wide-only">{t("alerts.keysHint")}</span>}
          {!whole && all && total !== undefined && total > alerts.length ? (
            <button type="button" className="as-link" onClick={() => setWhole(true)}>{t("alerts.chooseWhole", { n: total })}</button>
          ) : null}
          {chosen.size > 0 || whole ? (
            <span className="bulk-acts">
              <Button variant="default" size="compact-xs" onClick={() => act("acknowledge")}>{t("alert.acknowledge")}</Button>
              <Button variant="default" size="compact-xs" onClick={() => act("escalate")} disabled={whole}>{t("alert.escalate")}</Button>
              {(["true_positive", "false_positive", "benign"] as const).map((verdict) => (
                <Button key={verdict} variant="default" size="compact-xs" onClick={() => act(verdict)}>{term("verdict", verdict)}</Button>
              ))}
            </span>
          ) : null}
        </div>
      ) : null}
      <div className="queue-body">
        <div className="queue-list">
          {group !== "" && groups.length > 0 ? (
            <AlertGroups groups={groups} onOpen={(item) => setUrl(group === "rule" ? { rule: item.key } : { entity: item.key })} />
          ) : null}
          {group === "" && alerts.length > 0 ? (
            <AlertList alerts={alerts} total={total ?? alerts.length} at={at} open={open} chosen={chosen} more={answer.hasNextPage}
              onAt={setAt} onOpen={show} onToggle={toggle} onEnd={onEnd} />
          ) : null}
          {answer.isSuccess && alerts.length === 0 && groups.length === 0 ? <NoAlerts hidden={hidden ?? 0} onAll={() => setUrl({ status: "all", level: "", q: "", rule: "", entity: "" })} /> : null}
        </div>
        {open ? <AlertPanel key={open} id={open} onAct={act} onClose={() => show(undefined)} /> : null}
      </div>
      <ReasonDialog opened={asking !== null} title={t("alerts.judge", { n: count, verdict: term("verdict", asking) })} label={t("alerts.reason")} act={t("alerts.judgeAct", { n: count })}
        intro={whole ? <p className="warn-note">{t("alerts.wholeNote", { n: count })}</p> : null} busy={judging.isPending} error={judging.error}
        suggestions={asking ? [t(`reason.${asking}.1`), t(`reason.${asking}.2`)] : []}
        onClose={() => setAsking(null)} onGive={(reason) => asking && judging.mutate({ verdict: asking, reason })} />
      <ReasonDialog opened={confirming} title={t("alert.acknowledge")} act={t("alerts.acknowledgeAct", { n: count })}
        intro={<p className="warn-note">{t("alerts.wholeNote", { n: n(count) })}</p>} onClose={() => setConfirming(false)}
        onGive={() => (setConfirming(false), acknowledging.mutate(target))} />
      <EscalateDialog alerts={escalating} title={openTitle} onClose={() => setEscalating(null)}
        onDone={(incident) => (setEscalating(null), after(), go(`/incidents/${incident}`))} />
    </div>
  );
}

function NoAlerts({ hidden, onAll }: { hidden: number; onAll: () => void }) {
  const { t } = useSpeech();
  if (hidden > 0) {
    return <Empty title={t("alerts.noneHere")} hint={t("alerts.noneHereHint", { n: hidden })} action={<Button variant="default" onClick={onAll}>{t("alerts.showAll")}</Button>} />;
  }
  return <Empty title={t("alerts.none")} hint={t("alerts.noneHint")} />;
}
