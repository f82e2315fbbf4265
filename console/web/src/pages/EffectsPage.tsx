// The ledger of open effects: what Custos blocks or disables right now, by whose word, until when, and its undo.
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { get, post } from "../api/client";
import type { OpenEffect } from "../api/respond";
import { useSigned } from "../app/session";
import { IconUndo } from "../icons";
import { useSpeech } from "../i18n";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Stamp } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { useAct } from "../ui/useAct";
import { ActionView } from "./incidents/ActionView";
import { STALE } from "./incidents/RunCard";

function UndoButton({ effect }: { effect: OpenEffect }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [asking, setAsking] = useState(false);
  const undo = useAct({ act: () => post(`/runs/${effect.run}/undo`, { step: effect.step }), told: () => t("undo.told"), stale: STALE, then: () => setAsking(false) });
  if (!can("respond")) return null;
  return (
    <>
      <Button size="compact-xs" variant="default" leftSection={<IconUndo size={13} />} onClick={() => setAsking(true)}>{t("undo.act")}</Button>
      <ReasonDialog opened={asking} title={t("undo.title", { step: effect.target })} act={t("undo.act")} busy={undo.isPending}
        intro={<div><p>{t("undo.intro")}</p>{effect.undo_action ? <ActionView action={effect.undo_action} /> : null}</div>} onClose={() => setAsking(false)} onGive={() => undo.mutate()} />
    </>
  );
}

export function EffectTable({ effects }: { effects: OpenEffect[] }) {
  const { t, term, titled } = useSpeech();
  return (
    <table className="table">
      <thead>
        <tr><th>{t("effects.target")}</th><th>{t("effects.what")}</th><th>{t("effects.since")}</th><th>{t("effects.until")}</th><th className="wide-only">{t("effects.by")}</th><th className="wide-only">{t("effects.run")}</th><th><span className="sr">{t("undo.act")}</span></th></tr>
      </thead>
      <tbody>
        {effects.map((effect) => (
          <tr key={`${effect.run} ${effect.step}`}>
            <td className="mono strong"><Outside text={effect.target} /></td>
            <td><Outside text={titled(effect, effect.step)} />{effect.undo === "open" ? null : <> <Chip tone="warn">{term("undo", effect.undo)}</Chip></>}</td>
            <td><Stamp time={effect.since} short /></td>
            <td>{effect.until ? <Ago time={effect.until} /> : t("effects.forever")}</td>
            <td className="wide-only">{effect.by}</td>
            <td className="mono wide-only">{effect.incident ? <Link href={`/incidents/${effect.incident}#${effect.run}`}>{effect.run}</Link> : effect.run}</td>
            <td className="end"><UndoButton effect={effect} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function EffectsPage() {
  const { t } = useSpeech();
  const answer = useQuery({ queryKey: ["effects", "open"], queryFn: ({ signal }) => get<{ effects: OpenEffect[] }>("/effects", { open: true }, signal), refetchInterval: 30_000 });
  const effects = answer.data?.effects ?? [];
  return (
    <Page title={t("nav.effects")}>
      <p className="lead">{t("effects.intro")}</p>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {answer.isSuccess && effects.length === 0 ? <Empty title={t("effects.none")} hint={t("effects.noneHint")} action={<Link href="/incidents">{t("nav.incidents")}</Link>} /> : null}
      {effects.length > 0 ? <div className="card"><EffectTable effects={effects} /></div> : null}
    </Page>
  );
}
