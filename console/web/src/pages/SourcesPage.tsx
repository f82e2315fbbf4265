// Every source: how much came, that nothing was lost, how far behind it is, and what could not be read.
import { Button, Drawer } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { get } from "../api/client";
import type { Connector, LogEvent, PausedSource, SourceRow, SourcesAnswer } from "../api/types";
import { useSigned } from "../app/session";
import { IconCheck, IconWarn } from "../icons";
import { useSpeech } from "../i18n";
import { placeOf } from "../lib/events";
import { useUrl } from "../lib/url";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Stamp } from "../ui/parts";
import { Sparkline } from "../ui/Sparkline";
import { ConnectDrawer } from "./ConnectDrawer";
import { MadeSources } from "./MadeSources";
import { PauseSource } from "./PauseSource";

function Balance({ answer }: { answer: SourcesAnswer }) {
  const { t, n } = useSpeech();
  const even = answer.received === answer.stored + answer.rejected;
  return (
    <section className={even ? "balance" : "balance balance-off"} aria-label={t("sources.balance")}>
      <div><span className="balance-n">{n(answer.received)}</span><span>{t("sources.received")}</span></div>
      <span className="balance-sign" aria-hidden>=</span>
      <div><span className="balance-n">{n(answer.stored)}</span><span>{t("sources.stored")}</span></div>
      <span className="balance-sign" aria-hidden>+</span>
      <div><span className="balance-n">{n(answer.rejected)}</span><span>{t("sources.rejected")}</span></div>
      <p>{even ? <IconCheck size={16} aria-hidden /> : <IconWarn size={16} aria-hidden />} {t(even ? "sources.even" : "sources.odd")}</p>
    </section>
  );
}

function Rejected({ source, onClose }: { source: string | undefined; onClose: () => void }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const answer = useQuery({
    queryKey: ["sources", "rejected", source],
    queryFn: ({ signal }) => get<{ events: LogEvent[] }>("/sources/rejected", { source, limit: 100 }, signal),
    enabled: source !== undefined,
  });
  return (
    <Drawer opened={source !== undefined} onClose={onClose} position="right" size="xl" title={t("sources.rejectedOf", { source: source ?? "" })} closeButtonProps={{ "aria-label": t("action.close") }}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      <p className="quiet">{t("sources.rejectedHint")}</p>
      <ul className="rejects">
        {(answer.data?.events ?? []).map((event) => (
          <li key={placeOf(event.position)}>
            <div className="line"><Stamp time={event.received} /><Chip tone="bad"><Outside text={event.rejected ?? ""} /></Chip>
              {can("read_events") ? <Link href={`/search?q=${encodeURIComponent("event.kind:pipeline_error")}&from=all&event=${placeOf(event.position)}`}>{t("sources.open")}</Link> : null}</div>
            <pre className="raw" tabIndex={0}><Outside text={event.raw.slice(0, 2000)} lines /></pre>
          </li>
        ))}
      </ul>
      {answer.isSuccess && answer.data.events.length === 0 ? <p className="quiet">{t("sources.noRejected")}</p> : null}
    </Drawer>
  );
}

function Row({ source, paused, onRejected }: { source: SourceRow; paused: PausedSource[]; onRejected: (name: string) => void }) {
  const { t, n, term } = useSpeech();
  const last = source.per_minute.at(-1) ?? 0;
  const rate = source.per_minute.length > 1 ? (source.per_minute.at(-2) ?? last) : last;
  const refused = source.rejected_per_minute.at(-2) ?? 0;
  return (
    <tr>
      <td><Link className="strong" href={`/search?q=${encodeURIComponent(`custos.source:"${source.name}"`)}&from=-24h`}><Outside text={source.name} /></Link><div className="quiet small">{term("sourceKind", source.kind)}</div>{source.kind === "kafka" ? <PauseSource name={source.name} all={paused} /> : null}</td>
      <td className="num">{n(source.received)}</td>
      <td className="num">{n(source.stored)}</td>
      <td className="num">{source.rejected > 0 ? <button type="button" className="as-link bad" onClick={() => onRejected(source.name)} aria-label={t("sources.openRejected", { n: source.rejected, source: source.name })}>{n(source.rejected)}</button> : 0}</td>
      <td className="wide-only spark-cell"><Sparkline values={source.per_minute} label={t("sources.rate", { n: rate })} /><span className="quiet small nowrap">{t("sources.perMinute", { n: rate })}</span>{refused > 0 ? <div className="bad small nowrap">{t("sources.rejectedPerMinute", { n: refused })}</div> : null}</td>
      <td className="num wide-only">{source.lag === null || source.lag === undefined ? <span className="quiet">–</span> : n(source.lag)}</td>
      <td className="nowrap"><Ago time={source.last_seen} /> {source.silent ? <Chip tone="warn">{t("sources.silent")}</Chip> : null}{source.silent && source.silent_told ? <div className="quiet small">{t("sources.silentTold")} <Ago time={source.silent_told} /></div> : null}</td>
    </tr>
  );
}

/** What Custos connects to: up to when each was read, how far behind each topic is that it publishes to, what is wrong. */
function Connectors({ all, paused }: { all: Connector[]; paused: PausedSource[] }) {
  const { t, term } = useSpeech();
  const progress = (one: Connector) => {
    if (one.behind !== null && one.behind !== undefined) return one.behind > 0 ? t("connectors.behind", { n: one.behind }) : t("connectors.upToDate");
    return t(one.system === "kafka" ? "connectors.byOffset" : "connectors.never");
  };
  return (
    <section className="card" aria-label={t("connectors.title")} tabIndex={0}>
      <table className="table stacks">
        <thead><tr><th>{t("connectors.title")}</th><th>{t("connectors.readUpTo")}</th><th>{t("connectors.trouble")}</th></tr></thead>
        <tbody>
          {all.map((one) => (
            <tr key={one.source}>
              <td><span className="strong"><Outside text={one.source} /></span><div className="quiet small">{term("connectorSystem", one.system)}</div>{one.system === "kafka" ? <PauseSource name={one.source} all={paused} /> : null}</td>
              <td className="nowrap">{one.read_up_to ? <Ago time={one.read_up_to} /> : <span className="quiet">{progress(one)}</span>}</td>
              <td>{one.trouble ? (
                <>
                  <Chip tone={one.trouble.kind === "refused" || one.trouble.kind === "quota" ? "bad" : "warn"}>{term("connectorTrouble", one.trouble.kind)}</Chip> <Outside text={one.trouble.text} />
                  <div className="quiet small">{t("connectors.since")} <Stamp time={one.trouble.since} /> · {t("connectors.again")} <Stamp time={one.trouble.until} /></div>
                </>
              ) : <span className="quiet">{t("connectors.well")}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function SourcesPage() {
  const { t } = useSpeech();
  const [url, setUrl] = useUrl();
  const [rejected, setRejected] = useState<string | undefined>(url.rejected);
  const answer = useQuery({ queryKey: ["sources", "list"], queryFn: ({ signal }) => get<SourcesAnswer>("/sources", {}, signal), refetchInterval: 10_000 });
  const [connecting, setConnecting] = useState(url.connect === "yes");
  const connect = (open: boolean) => (setConnecting(open), setUrl({ connect: open ? "yes" : "" }, true));
  const show = (name: string | undefined) => (setRejected(name), setUrl({ rejected: name ?? "" }, true));
  return (
    <Page title={t("nav.sources")} aside={<Button size="compact-sm" onClick={() => connect(true)}>{t("connect.title")}</Button>}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {answer.data ? <Balance answer={answer.data} /> : null}
      {answer.data && answer.data.connectors.length > 0 ? <Connectors all={answer.data.connectors} paused={answer.data.paused} /> : null}
      {answer.data?.sources.length === 0 ? (
        <Empty title={t("sources.none")} hint={<><span>{t("sources.noneHint")}</span><code className="command">{`tail -F /var/log/auth.log | kcat -P -b 127.0.0.1:9092 -t auth`}</code><Button size="compact-sm" variant="default" onClick={() => connect(true)}>{t("connect.title")}</Button></>} />
      ) : null}
      {answer.data && answer.data.sources.length > 0 ? (
        <div className="card">
          <table className="table">
            <thead><tr><th>{t("sources.name")}</th><th className="num">{t("sources.received")}</th><th className="num">{t("sources.stored")}</th><th className="num">{t("sources.rejected")}</th><th className="wide-only">{t("sources.lastHour")}</th><th className="num wide-only">{t("sources.lag")}</th><th>{t("sources.lastSeen")}</th></tr></thead>
            <tbody>{answer.data.sources.map((source) => <Row key={source.name} source={source} paused={answer.data.paused} onRejected={show} />)}</tbody>
          </table>
        </div>
      ) : null}
      <MadeSources />
      <ConnectDrawer opened={connecting} onClose={() => connect(false)} />
      <Rejected source={rejected} onClose={() => show(undefined)} />
    </Page>
  );
}

