// Sources that people make here: a name and a token for a shipper, whether its first events came, a new token, an end.
import { Button, Modal, Select, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { get, post } from "../api/client";
import type { IssuedToken, MadeSource, MadeSourcesAnswer, SourcesAnswer } from "../api/types";
import { useSigned } from "../app/session";
import { IconCheck } from "../icons";
import { useSpeech } from "../i18n";
import { ErrorNote } from "../ui/notes";
import { Ago, Chip, Copy, Outside } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { useAct } from "../ui/useAct";

const made = (signal: AbortSignal) => get<MadeSourcesAnswer>("/sources/made", {}, signal);
/** `splunk:web` is of the source `web`. */
const isOf = (name: string, row: { name: string }) => row.name.slice(row.name.indexOf(":") + 1) === name;

/** Whether events of this name have come, asked until they have. */
function Arrived({ name }: { name: string }) {
  const { t, n } = useSpeech();
  const answer = useQuery({ queryKey: ["sources", "list"], queryFn: ({ signal }) => get<SourcesAnswer>("/sources", {}, signal), refetchInterval: 2_000 });
  const rows = (answer.data?.sources ?? []).filter((row) => isOf(name, row));
  const sum = (of: "received" | "rejected") => rows.reduce((all, row) => all + row[of], 0);
  return (
    <p role="status" className="line">
      {rows.length === 0 ? <Chip>{t("made.waiting")}</Chip> : <Chip tone={sum("rejected") > 0 ? "warn" : "good"}><IconCheck size={13} aria-hidden /> {t("made.arrived", { received: n(sum("received")), rejected: n(sum("rejected")) })}</Chip>}
      {rows.map((row) => <span key={row.name} className="quiet small"><Outside text={row.name} /> · <Ago time={row.last_seen} /></span>)}
    </p>
  );
}

export function Issued({ issued }: { issued: IssuedToken }) {
  const { t } = useSpeech();
  return (
    <section className="snippet" aria-label={t("made.token")}>
      <div className="line"><h3>{t("made.tokenOf", { name: issued.name })}</h3><Copy text={issued.token} label={t("made.copy")} /></div>
      <pre className="raw" tabIndex={0}>{issued.token}</pre>
      <p className="quiet">{t("made.once")}</p>
      <Arrived name={issued.name} />
    </section>
  );
}

/** Makes a source, and hands its token on. */
export function MakeSource({ onIssued }: { onIssued: (issued: IssuedToken) => void }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [name, setName] = useState("");
  const [type, setType] = useState("auto");
  const answer = useQuery({ queryKey: ["sources", "made"], queryFn: ({ signal }) => made(signal) });
  const make = useAct({ act: () => post<IssuedToken>("/sources/made", { name: name.trim(), type }), stale: ["sources"], quietError: true, then: (issued) => (setName(""), onIssued(issued)) });
  if (!can("manage_sources")) return null;
  const give = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() !== "" && !make.isPending) make.mutate(undefined);
  };
  return (
    <form className="make-source" onSubmit={give} aria-label={t("made.new")}>
      <div className="line make-fields">
        <TextInput label={t("made.name")} value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={64} required placeholder="shop" />
        <Select label={t("made.type")} value={type} onChange={(next) => setType(next ?? "auto")} data={answer.data?.types ?? ["auto"]} allowDeselect={false} searchable />
        <Button type="submit" loading={make.isPending} disabled={name.trim() === ""}>{t("made.make")}</Button>
      </div>
      <p className="quiet small">{t("made.nameHint")}</p>
      {make.isError ? <ErrorNote error={make.error} /> : null}
    </form>
  );
}

function Row({ source, onRenew, onClose }: { source: MadeSource; onRenew: () => void; onClose: () => void }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  return (
    <tr>
      <td><span className="strong"><Outside text={source.name} /></span><div className="quiet small"><Outside text={source.type} /></div></td>
      <td>{source.open ? <Chip tone="good">{t("made.open")}</Chip> : <><Chip>{t("made.closed")}</Chip> <Outside text={source.reason ?? ""} /></>}</td>
      <td className="nowrap"><Ago time={source.changed_at} /><div className="quiet small"><Outside text={source.changed_by} /></div></td>
      <td>{source.open && can("manage_sources") ? (
        <div className="line">
          <Button size="compact-xs" variant="default" onClick={onRenew} aria-label={t("made.renewOf", { name: source.name })}>{t("made.renew")}</Button>
          <Button size="compact-xs" variant="default" onClick={onClose} aria-label={t("made.closeOf", { name: source.name })}>{t("made.close")}</Button>
        </div>
      ) : null}</td>
    </tr>
  );
}

/** Those there are; nothing where there is none. */
export function MadeSources() {
  const { t } = useSpeech();
  const [renewing, setRenewing] = useState<string>();
  const [closing, setClosing] = useState<string>();
  const [issued, setIssued] = useState<IssuedToken>();
  const answer = useQuery({ queryKey: ["sources", "made"], queryFn: ({ signal }) => made(signal) });
  const stale = ["sources"];
  const renew = useAct({ act: (name: string) => post<IssuedToken>(`/sources/made/${encodeURIComponent(name)}/renew`, {}), stale, quietError: true, then: (token) => (setRenewing(undefined), setIssued(token)) });
  const close = useAct({ act: ({ name, reason }: { name: string; reason: string }) => post(`/sources/made/${encodeURIComponent(name)}/close`, { reason }), told: (_, { name }) => t("made.closedTold", { name }), stale, quietError: true, then: () => setClosing(undefined) });
  if (answer.isError) return <ErrorNote error={answer.error} retry={() => void answer.refetch()} />;
  if (!answer.data || answer.data.sources.length === 0) return null;
  return (
    <section className="card" aria-label={t("made.title")} tabIndex={0}>
      <table className="table">
        <thead><tr><th>{t("made.title")}</th><th>{t("made.state")}</th><th>{t("made.changed")}</th><th>{t("made.acts")}</th></tr></thead>
        <tbody>{answer.data.sources.map((source) => <Row key={source.name} source={source} onRenew={() => setRenewing(source.name)} onClose={() => setClosing(source.name)} />)}</tbody>
      </table>
      <ReasonDialog opened={renewing !== undefined} title={t("made.renewTitle", { name: renewing ?? "" })} intro={<p>{t("made.renewIntro")}</p>} act={t("made.renew")} busy={renew.isPending} error={renew.error}
        onClose={() => setRenewing(undefined)} onGive={() => renewing === undefined ? undefined : renew.mutate(renewing)} />
      <ReasonDialog opened={closing !== undefined} title={t("made.closeTitle", { name: closing ?? "" })} intro={<p>{t("made.closeIntro")}</p>} label={t("made.reason")} act={t("made.close")} color="red" busy={close.isPending} error={close.error}
        onClose={() => setClosing(undefined)} onGive={(reason) => closing === undefined ? undefined : close.mutate({ name: closing, reason })} />
      <Modal opened={issued !== undefined} onClose={() => setIssued(undefined)} title={t("made.token")} size="lg" closeButtonProps={{ "aria-label": t("action.close") }}>
        {issued ? <Issued issued={issued} /> : null}
      </Modal>
    </section>
  );
}
