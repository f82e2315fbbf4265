// Whether the logs are whole: their heads, who else holds them, and the last reading of every byte.
import { Button, Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import { useSigned } from "../app/session";
import { IconCheck, IconShield, IconWarn } from "../icons";
import { useSpeech } from "../i18n";
import { ReasonDialog } from "../ui/ReasonDialog";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Copy, Outside, Page, Panel } from "../ui/parts";
import { useAct } from "../ui/useAct";
import { Scrub } from "./RetentionPage";

interface LogState {
  log: string;
  records: number;
  root: string;
  checkpoint: { size: number; at: string } | null;
}

type WitnessKind = "folder" | "s3" | "mail" | "custos";

interface Witness {
  name: string;
  kind: WitnessKind;
  logs: { log: string; size: number; lag: number; at: string | null }[];
  failures: number;
  error: string | null;
}

interface Integrity {
  logs: LogState[];
  keys: string;
  verification: {
    running: { since: string; by: string; bytes_done: number; bytes_total: number } | null;
    last: { at: string; by: string; records: number; ok: boolean; faults: string[] } | null;
  };
  witnesses: Witness[];
  witnessed: { origin: string; size: number; root: string; at: string }[];
  refused: { origin: string; size: number; witnessed: number; reason: string; at: string; accepted?: { by: string; at: string; reason: string } }[];
}

function Logs({ logs }: { logs: LogState[] }) {
  const { t, n } = useSpeech();
  return (
    <Panel title={t("integrity.logs")} flush>
      <table className="table">
        <thead><tr><th>{t("integrity.log")}</th><th className="num">{t("integrity.records")}</th><th>{t("integrity.root")}</th><th>{t("integrity.checkpoint")}</th></tr></thead>
        <tbody>
          {logs.map((log) => (
            <tr key={log.log}>
              <td className="strong">{log.log}</td>
              <td className="num">{n(log.records)}</td>
              <td className="mono nowrap">{log.root.slice(0, 16)}… <Copy text={log.root} /></td>
              <td>{log.checkpoint ? <><Ago time={log.checkpoint.at} /> <span className="quiet">({n(log.checkpoint.size)})</span></> : <span className="quiet">{t("integrity.noCheckpoint")}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Verification({ state }: { state: Integrity["verification"] }) {
  const { t, n } = useSpeech();
  const start = useAct({ act: () => post<Integrity>("/integrity/verification"), stale: ["integrity"] });
  const { running, last } = state;
  const mib = (bytes: number) => `${n(Math.round(bytes / 1_048_576))} MiB`;
  return (
    <Panel title={t("integrity.verification")}>
      <p className="quiet">{t("integrity.verificationHint")}</p>
      {running ? (
        <>
          <Progress value={running.bytes_total > 0 ? (100 * running.bytes_done) / running.bytes_total : 0} aria-label={t("integrity.verification")} />
          <p className="quiet small">{t("integrity.running", { done: mib(running.bytes_done), total: mib(running.bytes_total) })} · {t("integrity.by", { name: running.by })}</p>
        </>
      ) : null}
      {last ? (
        <p className="line">
          {last.ok ? <Chip tone="good"><IconCheck size={12} aria-hidden /> {t("integrity.whole", { n: n(last.records) })}</Chip> : <Chip tone="bad"><IconWarn size={12} aria-hidden /> {t("integrity.notWhole")}</Chip>}
          <Ago time={last.at} /> <span className="quiet">{t("integrity.by", { name: last.by })}</span>
        </p>
      ) : <p className="quiet">{t("integrity.never")}</p>}
      {last && last.faults.length > 0 ? <ul className="plain-list">{last.faults.map((fault) => <li key={fault} className="mono small"><Outside text={fault} /></li>)}</ul> : null}
      <div className="acts"><Button leftSection={<IconShield size={14} />} loading={start.isPending} disabled={running !== null} onClick={() => start.mutate(undefined)}>{t("integrity.verify")}</Button></div>
    </Panel>
  );
}

function WitnessRow({ witness }: { witness: Witness }) {
  const { t, n } = useSpeech();
  const sent = witness.logs.map((log) => log.at).filter((at) => at !== null).sort().at(-1);
  return (
    <tr>
      <td><span className="strong"><Outside text={witness.name} /></span><div className="quiet small">{t(`integrity.kind.${witness.kind}`)}</div></td>
      <td>{witness.logs.map((log) => <div key={log.log} className="nowrap">{log.log} {n(log.size)}</div>)}</td>
      <td>{witness.logs.map((log) => <div key={log.log}>{log.lag > 0 ? n(log.lag) : <span className="quiet">{t("integrity.upToDate")}</span>}</div>)}</td>
      <td>{sent ? <Ago time={sent} /> : <span className="quiet">–</span>}
        {witness.failures > 0 ? <div><Chip tone="bad">{t("integrity.failing", { n: witness.failures })}</Chip> <span className="small"><Outside text={witness.error ?? ""} /></span></div> : null}</td>
    </tr>
  );
}

function Witnesses({ witnesses }: { witnesses: Witness[] }) {
  const { t } = useSpeech();
  if (witnesses.length === 0) return <Panel title={t("integrity.witnesses")}><p className="warn-note">{t("integrity.noWitnesses")}</p></Panel>;
  return (
    <Panel title={t("integrity.witnesses")} flush>
      <table className="table">
        <thead><tr><th>{t("integrity.witness")}</th><th>{t("integrity.sent")}</th><th>{t("integrity.lag")}</th><th>{t("integrity.lastSent")}</th></tr></thead>
        <tbody>{witnesses.map((witness) => <WitnessRow key={witness.name} witness={witness} />)}</tbody>
      </table>
    </Panel>
  );
}

function Others({ answer }: { answer: Integrity }) {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  const [head, setHead] = useState<Integrity["refused"][number] | null>(null);
  const accept = useAct({
    act: ({ origin, size, reason }: { origin: string; size: number; reason: string }) => post("/integrity/refused/accept", { origin, size, reason }),
    told: () => t("integrity.acceptedTold"),
    stale: ["integrity"],
    then: () => setHead(null),
    quietError: true,
  });
  return (
    <>
      {answer.refused.length > 0 ? (
        <Panel title={t("integrity.refused")} aside={n(answer.refused.length)}>
          <p className="warn-note">{t("integrity.refusedHint")}</p>
          <ul className="plain-list">
            {answer.refused.map((one, at) => (
              <li key={at}><span className="mono"><Outside text={one.origin} /></span> <Chip tone="bad"><Outside text={one.reason} /></Chip> <Ago time={one.at} />
                <div className="quiet small">{t("integrity.had", { size: n(one.size), witnessed: n(one.witnessed) })}</div>
                {one.accepted
                  ? <div className="small"><Chip>{t("integrity.accepted")}</Chip> {t("retention.by", { name: one.accepted.by })} <Ago time={one.accepted.at} />: <Outside text={one.accepted.reason} /></div>
                  : can("preserve") ? <Button size="compact-sm" variant="default" onClick={() => setHead(one)}>{t("integrity.accept")}</Button> : null}</li>
            ))}
          </ul>
          <ReasonDialog opened={head !== null} title={t("integrity.acceptTitle")} label={t("integrity.acceptReason")} act={t("integrity.accept")} busy={accept.isPending} error={accept.error}
            onClose={() => setHead(null)} onGive={(reason) => head && accept.mutate({ origin: head.origin, size: head.size, reason })} />
        </Panel>
      ) : null}
      {answer.witnessed.length > 0 ? (
        <Panel title={t("integrity.witnessed")} aside={n(answer.witnessed.length)}>
          <ul className="plain-list">
            {answer.witnessed.map((one) => <li key={one.origin} className="line"><span className="mono"><Outside text={one.origin} /></span> <span>{n(one.size)}</span> <Ago time={one.at} /></li>)}
          </ul>
        </Panel>
      ) : null}
    </>
  );
}

export function IntegrityPage() {
  const { t } = useSpeech();
  const answer = useQuery({
    queryKey: ["integrity"],
    queryFn: ({ signal }) => get<Integrity>("/integrity", {}, signal),
    refetchInterval: (query) => (query.state.data?.verification.running ? 1_000 : 10_000),
  });
  const state = answer.data;
  return (
    <Page title={t("nav.integrity")}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {state ? (
        <>
          {state.logs.length > 0 ? <Logs logs={state.logs} /> : <Empty title={t("sources.none")} hint={null} />}
          <Others answer={state} />
          <Verification state={state.verification} />
          <Scrub />
          <Witnesses witnesses={state.witnesses} />
          <Panel title={t("integrity.keys")}>
            <p className="quiet">{t("integrity.keysHint")}</p>
            <div className="code"><div className="code-copy"><Copy text={state.keys} /></div><pre tabIndex={0}>{state.keys}</pre></div>
          </Panel>
        </>
      ) : null}
    </Page>
  );
}
