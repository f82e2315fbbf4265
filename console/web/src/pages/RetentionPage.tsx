// Retention: how long events are kept, what was let go, what legal holds keep; damage, and mending it.
import { Button, Select, Stack, TextInput, Textarea, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import type { Damage, Hold, HoldScope, LogKept, RetentionAnswer, ScrubAnswer } from "../api/keeping";
import { useSigned } from "../app/session";
import { useSpeech } from "../i18n";
import { size } from "../lib/format";
import { ReasonDialog } from "../ui/ReasonDialog";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Panel, Stamp } from "../ui/parts";
import { useAct } from "../ui/useAct";

/** Which sources a log keeps, and for how long. */
function Keeps({ log, answer }: { log: LogKept; answer: RetentionAnswer }) {
  const { t } = useSpeech();
  const others = log.log === "telemetry";
  if (!log.class && !others) return <td colSpan={2}><Chip tone="warn">{t("retention.noClass")}</Chip></td>;
  const { keep, max } = log.class ?? answer;
  return (
    <>
      <td>{log.class ? <>{log.class.name}<div className="quiet small mono"><Outside text={log.class.sources.join(", ")} /></div></> : t("retention.allOthers")}</td>
      <td>{keep || max ? <>{keep} {max ? t("retention.upTo", { max }) : null}</> : t("retention.keptForever")}</td>
    </>
  );
}

function Policy({ answer }: { answer: RetentionAnswer }) {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  const run = useAct({ act: () => post("/retention/run", {}), told: () => t("retention.runTold"), stale: ["retention"] });
  const limits = [answer, ...answer.logs.flatMap((log) => log.class ?? [])];
  const on = limits.some((limit) => limit.keep !== undefined || limit.max !== undefined);
  return (
    <Panel title={t("retention.policy")} aside={on && can("manage_backups") ? <Button size="compact-sm" variant="default" onClick={() => run.mutate(undefined)}>{t("retention.run")}</Button> : null}>
      {on ? (
        <p>
          {answer.keep ? <>{t("retention.keep", { keep: answer.keep })} </> : null}
          {answer.max ? <>{t("retention.max", { max: answer.max })} </> : null}
          <span className="quiet">{t("retention.factsStay")} {t("retention.droppedTotal", { size: size(answer.dropped_bytes) })}</span>
        </p>
      ) : <p>{t("retention.forever")} <code className="command">{`[retention]\nkeep = "365d"`}</code></p>}
      <table className="table">
        <thead><tr><th>{t("retention.log")}</th><th>{t("retention.class")}</th><th>{t("retention.kept")}</th><th className="num">{t("retention.segments")}</th><th className="num">{t("retention.bytes")}</th><th>{t("retention.oldest")}</th></tr></thead>
        <tbody>
          {answer.logs.map((log) => (
            <tr key={log.log}>
              <td className="strong">{log.log}</td>
              <Keeps log={log} answer={answer} />
              <td className="num">{n(log.segments)}</td>
              <td className="num nowrap">{size(log.bytes)}</td>
              <td>{log.oldest ? <Stamp time={log.oldest} short /> : <span className="quiet">–</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Covers({ scope }: { scope: HoldScope }) {
  const { t } = useSpeech();
  if (scope.kind === "incident") return <>{t("retention.ofIncident")} <span className="mono">{scope.incident}</span></>;
  if (scope.kind === "source") return <>{t("retention.ofSource")} <span className="mono"><Outside text={scope.source} /></span></>;
  return <>{t("retention.ofTime")} <Stamp time={scope.from} short /> – <Stamp time={scope.to} short /></>;
}

function NewHold({ opened, close }: { opened: boolean; close: () => void }) {
  const { t } = useSpeech();
  const [kind, setKind] = useState<HoldScope["kind"]>("incident");
  const [name, setName] = useState("");
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [reason, setReason] = useState("");
  const scope = (): HoldScope =>
    kind === "incident" ? { kind, incident: name.trim() }
      : kind === "source" ? { kind, source: name.trim() }
        : { kind, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const place = useAct({
    act: () => post<Hold>("/retention/holds", { scope: scope(), reason: reason.trim() }),
    told: (hold) => t("retention.placed", { hold: hold.hold }),
    stale: ["retention"],
    then: close,
    quietError: true,
  });
  const ready = reason.trim() !== "" && (kind === "received" ? from !== "" && to !== "" : name.trim() !== "");
  const kinds = (["incident", "source", "received"] as const).map((value) => ({ value, label: t(`retention.kind.${value}`) }));
  return (
    <Modal opened={opened} onClose={close} title={t("retention.place")} closeButtonProps={{ "aria-label": t("action.close") }}>
      <form onSubmit={(event) => (event.preventDefault(), ready && place.mutate(undefined))}>
        <Stack gap="sm">
          <p className="quiet">{t("retention.placeHint")}</p>
          <Select label={t("retention.covers")} data={kinds} value={kind} allowDeselect={false} onChange={(value) => setKind((value ?? "incident") as HoldScope["kind"])} />
          {kind === "received" ? (
            <>
              <TextInput type="datetime-local" label={t("retention.from")} value={from} onChange={(event) => setFrom(event.currentTarget.value)} required />
              <TextInput type="datetime-local" label={t("retention.to")} value={to} onChange={(event) => setTo(event.currentTarget.value)} required />
            </>
          ) : <TextInput label={t(kind === "incident" ? "retention.incidentId" : "retention.sourceName")} value={name} onChange={(event) => setName(event.currentTarget.value)} required data-autofocus />}
          <Textarea label={t("retention.reason")} value={reason} maxLength={2000} autosize minRows={2} required onChange={(event) => setReason(event.currentTarget.value)} />
          {place.error ? <ErrorNote error={place.error} /> : null}
          <Button type="submit" disabled={!ready} loading={place.isPending}>{t("retention.place")}</Button>
        </Stack>
      </form>
    </Modal>
  );
}

function Holds({ holds }: { holds: Hold[] }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [placing, setPlacing] = useState(false);
  const [lifting, setLifting] = useState<string | null>(null);
  const lift = useAct({
    act: ({ hold, reason }: { hold: string; reason: string }) => post(`/retention/holds/${hold}/lift`, { reason }),
    told: (_, { hold }) => t("retention.liftedTold", { hold }),
    stale: ["retention"],
    then: () => setLifting(null),
    quietError: true,
  });
  const may = can("preserve");
  return (
    <Panel title={t("retention.holds")} flush={holds.length > 0} aside={may ? <Button size="compact-sm" onClick={() => setPlacing(true)}>{t("retention.place")}</Button> : null}>
      {holds.length === 0 ? <p className="quiet">{t("retention.noHolds")}</p> : (
        <table className="table">
          <thead><tr><th>{t("retention.hold")}</th><th>{t("retention.covers")}</th><th>{t("retention.reason")}</th><th>{t("retention.heldBack")}</th><th /></tr></thead>
          <tbody>
            {holds.map((hold) => (
              <tr key={hold.hold}>
                <td><span className="mono">{hold.hold}</span><div className="quiet small">{t("retention.by", { name: hold.by })} <Ago time={hold.at} /></div></td>
                <td><Covers scope={hold.scope} /></td>
                <td><Outside text={hold.reason} /></td>
                <td>{hold.lifted
                  ? <><Chip>{t("retention.lifted")}</Chip> <span className="quiet small">{t("retention.by", { name: hold.lifted.by })} <Ago time={hold.lifted.at} />: <Outside text={hold.lifted.reason} /></span></>
                  : hold.held_segments > 0 ? <Chip tone="info">{t("retention.holdsBack", { n: hold.held_segments, size: size(hold.held_bytes) })}</Chip> : <span className="quiet">{t("retention.holdsNothing")}</span>}</td>
                <td>{may && !hold.lifted ? <Button size="compact-sm" variant="default" onClick={() => setLifting(hold.hold)}>{t("retention.lift")}</Button> : null}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <NewHold opened={placing} close={() => setPlacing(false)} />
      <ReasonDialog opened={lifting !== null} title={t("retention.liftTitle", { hold: lifting ?? "" })} label={t("retention.reason")} act={t("retention.lift")}
        busy={lift.isPending} error={lift.error} onClose={() => setLifting(null)} onGive={(reason) => lifting && lift.mutate({ hold: lifting, reason })} />
    </Panel>
  );
}

function Damages({ damages }: { damages: Damage[] }) {
  const { t, n } = useSpeech();
  return (
    <table className="table">
      <thead><tr><th>{t("retention.log")}</th><th>{t("retention.records")}</th><th>{t("retention.found")}</th><th>{t("retention.state")}</th></tr></thead>
      <tbody>
        {damages.map((damage) => (
          <tr key={`${damage.log}/${damage.first}/${damage.at}`}>
            <td className="strong">{damage.log}</td>
            <td className="nowrap">{n(damage.first)} – {n(damage.last)}</td>
            <td><Ago time={damage.at} /><div className="quiet small"><Outside text={damage.reason} /></div></td>
            <td>{damage.repaired ? <Chip tone="good">{t("retention.mended", { backup: damage.repaired.backup })}</Chip> : <Chip tone="bad">{t("retention.broken")}</Chip>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Damage that was found, the last scrub, and doing something about it; also on the page of integrity. */
export function Scrub() {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  const answer = useQuery({
    queryKey: ["scrub"],
    queryFn: ({ signal }) => get<ScrubAnswer>("/retention/scrub", {}, signal),
    refetchInterval: (query) => (query.state.data?.running ? 1_000 : 10_000),
  });
  const scrub = useAct({ act: () => post("/retention/scrub", {}), told: () => t("retention.scrubTold"), stale: ["scrub"] });
  const repair = useAct({ act: () => post("/retention/repair", {}), told: () => t("retention.repairTold"), stale: ["scrub", "backups"] });
  const state = answer.data;
  if (!state) return answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : <Loading />;
  const open = state.damages.filter((damage) => !damage.repaired).length;
  const acts = can("preserve") ? (
    <div className="line">
      {open > 0 && state.repairable ? <Button size="compact-sm" color="red" onClick={() => repair.mutate(undefined)}>{t("retention.repair")}</Button> : null}
      <Button size="compact-sm" variant="default" disabled={state.running !== undefined} onClick={() => scrub.mutate(undefined)}>{t("retention.scrubNow")}</Button>
    </div>
  ) : null;
  return (
    <Panel title={t("retention.scrub")} aside={acts}>
      <p className="quiet">{t("retention.scrubHint")}</p>
      {open > 0 ? <p role="alert" className="line"><Chip tone="bad">{t("retention.damaged", { n: open })}</Chip> {state.repairable ? null : <span>{t("retention.noBackup")}</span>}</p> : null}
      {state.running ? <p role="status"><Chip tone="info">{t("retention.scrubbing", { n: state.running.segments, total: state.running.segments_total, size: size(state.running.bytes) })}</Chip></p> : null}
      {state.last ? <p className="line"><Chip tone={state.last.damaged > 0 ? "bad" : "good"}>{t(state.last.damaged > 0 ? "retention.scrubBad" : "retention.scrubGood", { n: n(state.last.segments), size: size(state.last.bytes), damaged: state.last.damaged })}</Chip> <Ago time={state.last.at} /></p> : <p className="quiet">{t("retention.scrubNever")}</p>}
      {state.damages.length > 0 ? <Damages damages={state.damages} /> : null}
    </Panel>
  );
}

function Dropped({ answer }: { answer: RetentionAnswer }) {
  const { t, n } = useSpeech();
  return (
    <Panel title={t("retention.dropped")} flush={answer.dropped.length > 0}>
      {answer.dropped.length === 0 ? <p className="quiet">{t("retention.nothingDropped")}</p> : (
        <table className="table">
          <thead><tr><th>{t("retention.when")}</th><th>{t("retention.records")}</th><th>{t("retention.through")}</th><th className="num">{t("retention.bytes")}</th><th>{t("retention.reason")}</th></tr></thead>
          <tbody>
            {answer.dropped.map((drop) => (
              <tr key={`${drop.log}/${drop.first}`}>
                <td><Stamp time={drop.at} short /></td>
                <td className="nowrap">{drop.log} {n(drop.first)} – {n(drop.last)}</td>
                <td><Stamp time={drop.through} short /></td>
                <td className="num nowrap">{size(drop.bytes)}</td>
                <td><Outside text={drop.reason} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

export function RetentionPage() {
  const { t } = useSpeech();
  const answer = useQuery({ queryKey: ["retention"], queryFn: ({ signal }) => get<RetentionAnswer>("/retention", {}, signal), refetchInterval: 10_000 });
  const data = answer.data;
  return (
    <Page title={t("nav.retention")}>
      <p className="lead">{t("retention.intro")}</p>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {data ? <><Policy answer={data} /><Holds holds={data.holds} /><Dropped answer={data} /></> : null}
      <Scrub />
      {data && data.logs.length === 0 ? <Empty title={t("retention.empty")} /> : null}
    </Page>
  );
}
