// Search: one query, its time, its histogram, its fields and its events; or the events as they come.
import { Button, Tooltip } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { get, Problem } from "../../api/client";
import type { EventsPage, FieldName, FieldsAnswer, HistogramAnswer, LogEvent } from "../../api/types";
import { useKeys } from "../../app/keys";
import { IconPause, IconPlay, IconRefresh, IconSearch } from "../../icons";
import { useSpeech } from "../../i18n";
import { placeOf } from "../../lib/events";
import { excluded, included } from "../../lib/query";
import { rememberQuery } from "../../lib/settings";
import { around, resolve, type Range } from "../../lib/time";
import { useUrl } from "../../lib/url";
import { Histogram } from "../../ui/Histogram";
import { Empty, ErrorNote, Loading } from "../../ui/notes";
import { Copy, Outside } from "../../ui/parts";
import { EventPanel, type EventActs } from "./EventPanel";
import { FieldList } from "./FieldList";
import { LiveBar } from "./LiveBar";
import { useLiveTail } from "./liveTail";
import { focusQueryBar, QueryBar } from "./QueryBar";
import { ResultList } from "./ResultList";
import { TimePicker } from "./TimePicker";

const PAGE = 200;
const BUCKETS = 80;

function useFound(q: string, range: { from?: string; to?: string }, active: boolean) {
  const ask = { query: q || "*", ...range };
  const key = [ask.query, range.from ?? "", range.to ?? ""];
  const events = useInfiniteQuery({
    queryKey: ["events", "list", ...key],
    queryFn: ({ pageParam, signal }) => get<EventsPage>("/events", { ...ask, limit: PAGE, after: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
    enabled: active,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  });
  const histogram = useQuery({
    queryKey: ["events", "histogram", ...key],
    queryFn: ({ signal }) => get<HistogramAnswer>("/events/histogram", { ...ask, buckets: BUCKETS }, signal),
    enabled: active,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  });
  const fields = useQuery({
    queryKey: ["events", "fields", ...key],
    queryFn: ({ signal }) => get<FieldsAnswer>("/events/fields", { ...ask, sample: 500 }, signal),
    enabled: active,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  });
  return { events, histogram, fields };
}

export function SearchPage() {
  const { t, n, term } = useSpeech();
  const [url, setUrl] = useUrl();
  const q = url.q ?? "";
  const range: Range = useMemo(() => ({ from: url.from ?? "-24h", to: url.to ?? "" }), [url.from, url.to]);
  const columns = useMemo(() => (url.cols ? url.cols.split(",") : []), [url.cols]);
  const live = url.live === "1";
  const [draft, setDraft] = useState(q);
  const [now, setNow] = useState(Date.now);
  const [refreshSecs, setRefreshSecs] = useState(0);
  const [paused, setPaused] = useState(false);
  const [at, setAt] = useState(-1);
  useEffect(() => setDraft(q), [q]);
  useEffect(() => setAt(-1), [q, url.from, url.to, live]);
  useEffect(() => {
    if (!refreshSecs || live) return undefined;
    const timer = setInterval(() => setNow(Date.now()), refreshSecs * 1000);
    return () => clearInterval(timer);
  }, [refreshSecs, live]);

  const absolute = useMemo(() => resolve(range.from === "all" ? { from: "", to: range.to } : range, now), [range, now]);
  const { events, histogram, fields } = useFound(q, absolute, !live);
  const names = useQuery({ queryKey: ["fields"], queryFn: () => get<{ fields: FieldName[] }>("/fields"), staleTime: 60_000 });
  const tail = useLiveTail(q, live, paused);
  const found = useMemo(() => events.data?.pages.flatMap((page) => page.events) ?? [], [events.data]);
  const shown: LogEvent[] = live ? tail.events : found;
  const firstPage = events.data?.pages[0];
  const problem = events.error instanceof Problem ? events.error : undefined;
  const error = problem?.column ? { column: problem.column, message: term("query", problem.fault) } : undefined;

  const run = useCallback((query: string) => {
    rememberQuery(query);
    setNow(Date.now());
    setUrl({ q: query, event: "" });
  }, [setUrl]);
  const setRange = (next: Range) => {
    setNow(Date.now());
    setUrl({ from: next.from === "" ? "all" : next.from, to: next.to });
  };
  const acts: EventActs = {
    onInclude: (field, value) => run(included(q, field, value)),
    onExclude: (field, value) => run(excluded(q, field, value)),
    onColumn: (field) => {
      const next = columns.includes(field) ? columns.filter((name) => name !== field) : [...columns, field];
      setUrl({ cols: next.join(",") }, true);
    },
    onAround: (time, secs) => (setNow(Date.now()), setUrl({ q: "*", ...around(time, secs) })),
    onOpenPlace: (place) => setUrl({ event: place }, true),
  };
  const open = (event: LogEvent | undefined) => event && setUrl({ event: placeOf(event.position) }, true);
  const toggleLive = () => (setPaused(false), setUrl({ live: live ? "" : "1" }));
  const step = (by: number) => setAt(Math.max(0, Math.min(shown.length - 1, at + by)));
  useKeys({
    "/": focusQueryBar,
    j: () => step(1),
    k: () => step(-1),
    o: () => open(shown[at]),
    Enter: () => open(shown[at]),
    Escape: () => setUrl({ event: "" }, true),
    l: toggleLive,
  });
  const onEnd = useCallback(() => {
    if (!live && events.hasNextPage && !events.isFetchingNextPage) void events.fetchNextPage();
  }, [live, events.hasNextPage, events.isFetchingNextPage, events.fetchNextPage]);
  const total = histogram.data?.total;

  return (
    <div className={url.event ? "search search-open" : "search"}>
      <h1 className="sr">{t("nav.search")}</h1>
      <div className="search-bar">
        <QueryBar query={draft} fields={names.data?.fields ?? []} error={error} onRun={run} onChange={setDraft} />
        <TimePicker range={range.from === "all" ? { from: "", to: range.to } : range} refreshSecs={refreshSecs} onRange={setRange} onRefreshSecs={setRefreshSecs} />
        <Button leftSection={draft === q ? <IconRefresh size={14} /> : <IconSearch size={14} />} onClick={() => run(draft)} loading={events.isFetching && !events.isFetchingNextPage && !live}>
          {draft === q ? t("search.again") : t("search.run")}
        </Button>
        <Tooltip label={t(live ? "live.stop" : "live.start")}>
          <Button variant={live ? "filled" : "default"} color={live ? "red" : undefined} onClick={toggleLive} aria-pressed={live}
            leftSection={live ? <IconPause size={14} /> : <IconPlay size={14} />}>
            {t("live.tail")}
          </Button>
        </Tooltip>
      </div>
      {error ? (
        <div className="query-error" role="alert">{t("search.column", { n: error.column })}: {error.message}</div>
      ) : events.error ? <ErrorNote error={events.error} retry={() => void events.refetch()} /> : null}
      {live ? (
        <LiveBar tail={tail} paused={paused} onPause={() => setPaused(!paused)} />
      ) : error ? null : (
        <div className="search-head">
          <div className="search-count" aria-live="polite">
            <strong>{total === undefined ? "…" : n(total)}</strong> {t("search.events", { n: total ?? 0 })}
            {histogram.data && !histogram.data.exact ? <span className="chip chip-warn">{t("search.notExact")}</span> : null}
            {firstPage ? <span className="quiet">· {t("search.took", { ms: firstPage.took_ms })}</span> : null}
            {firstPage?.partial ? <span className="chip chip-warn">{t("search.partial")}</span> : null}
            {firstPage?.notes?.map((note) => <span key={note} className="chip chip-info"><Outside text={note} /></span>)}
            <Copy text={window.location.href} label={t("search.permalink")} />
          </div>
          {histogram.data && histogram.data.buckets.length > 0 ? (
            <Histogram buckets={histogram.data.buckets} bucketSecs={histogram.data.bucket_secs} label={t("histogram.label")}
              onZoom={(from, to) => setRange({ from, to })} />
          ) : null}
        </div>
      )}
      <div className="search-body">
        {!live && fields.data && found.length > 0 ? (
          <FieldList answer={fields.data} columns={columns} onInclude={acts.onInclude!} onExclude={acts.onExclude!} onColumn={acts.onColumn!} />
        ) : null}
        <div className="search-list">
          {!live && events.isPending ? <Loading /> : null}
          {!live && events.isSuccess && found.length === 0 ? <NoHits range={range} onRange={setRange} /> : null}
          {live && shown.length === 0 ? <Empty title={t("live.nothing")} hint={t("live.nothingHint")} /> : null}
          {shown.length > 0 ? (
            <ResultList events={shown} columns={columns} at={at} openPlace={url.event ?? ""} total={live ? undefined : total}
              more={!live && events.hasNextPage} onAt={setAt} onOpen={open} onEnd={onEnd} />
          ) : null}
        </div>
        {url.event ? <EventPanel key={url.event} place={url.event} acts={acts} onClose={() => setUrl({ event: "" }, true)} /> : null}
      </div>
    </div>
  );
}

function NoHits({ range, onRange }: { range: Range; onRange: (range: Range) => void }) {
  const { t } = useSpeech();
  const wider = range.from === "all" ? null : (
    <>
      <Button variant="default" onClick={() => onRange({ from: "-7d", to: "" })}>{t("search.widen")}</Button>
      <Button variant="default" onClick={() => onRange({ from: "", to: "" })}>{t("time.all")}</Button>
    </>
  );
  return <Empty title={t("search.none")} hint={t("search.noneHint")} action={wider} />;
}
