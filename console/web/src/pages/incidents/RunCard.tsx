// A run of a playbook: its steps, what each did or will do, and what it wants from a person.
import { Button } from "@mantine/core";
import { useState } from "react";
import { post } from "../../api/client";
import type { Run, RunStep } from "../../api/respond";
import { useSigned } from "../../app/session";
import { IconCheck, IconUndo } from "../../icons";
import { useSpeech } from "../../i18n";
import { Ago, Chip, Copy, Outside, Stamp, type Tone } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";
import { ActionView } from "./ActionView";

export const STALE = ["incident", "incidents", "runs", "run", "effects", "tasks", "overview"];

const TONES: Record<string, Tone> = {
  done: "good", already_so: "good", undone: "plain", waiting_approval: "warn", running: "info", failed: "bad", unknown: "bad",
  approved: "info", given_up: "plain", needs_person: "bad", denied: "plain", expired: "plain", refused: "bad", undoing: "info", waiting: "warn", stopped: "bad", open: "info",
};

const UNDO_TONES: Record<string, Tone> = { open: "info", undoing: "info", undone: "plain", failed: "bad", unknown: "bad" };

export const toneOf = (status: string): Tone => TONES[status] ?? "plain";
export const isWaiting = (step: RunStep) => step.status === "waiting_approval";

/** The step that a person is asked about, with what will happen and how it is undone. */
export function ApprovalCard({ run, step }: { run: Run; step: RunStep }) {
  const { t, titled } = useSpeech();
  const { can, session } = useSigned();
  const [denying, setDenying] = useState(false);
  const approve = useAct({ act: () => post(`/runs/${run.id}/approve`, { step: step.name, hash: step.hash }), told: () => t("approval.approved"), stale: STALE });
  const deny = useAct<string>({ act: (reason) => post(`/runs/${run.id}/deny`, { step: step.name, hash: step.hash, reason }), told: () => t("approval.denied"), stale: STALE, then: () => setDenying(false) });
  return (
    <section className="approval" aria-label={t("approval.label")}>
      <header>
        <Chip tone="warn">{t("stepStatus.waiting_approval")}</Chip>
        <strong>{titled(step, step.name)}</strong>
        <span className="quiet">{titled(run, run.playbook)} · {run.id}</span>
      </header>
      <dl className="facts approval-facts">
        <div><dt>{t("approval.target")}</dt><dd className="approval-target">{step.target ? <Outside text={step.target} /> : "–"}</dd></div>
        <div><dt>{t("approval.what")}</dt><dd><ActionView action={step.action} /></dd></div>
        <div><dt>{t("approval.undo")}</dt><dd>{step.undo_action ? <ActionView action={step.undo_action} /> : <Chip tone="bad">{t("approval.noUndo")}</Chip>}{step.undo_after_secs ? <AutoUndo secs={step.undo_after_secs} /> : null}</dd></div>
        <div><dt>{t("approval.effect")}</dt><dd><Effect effect={step.effect} /></dd></div>
        {step.expires_at ? <div><dt>{t("approval.expires")}</dt><dd><Ago time={step.expires_at} /></dd></div> : null}
        <div><dt>{t("approval.hash")}</dt><dd className="mono small hash"><span title={step.hash ?? ""}>{step.hash ? `${step.hash.slice(0, 24)}…` : "–"}</span>{step.hash ? <Copy text={step.hash} /> : null}</dd></div>
      </dl>
      {can("approve") ? (
        <div className="acts">
          <Button leftSection={<IconCheck size={14} />} loading={approve.isPending} onClick={() => approve.mutate()}>{t("approval.approve")}</Button>
          <Button variant="default" onClick={() => setDenying(true)}>{t("approval.deny")}</Button>
          <span className="quiet small">{t("approval.as", { name: session.user.name })}</span>
        </div>
      ) : <p className="quiet">{t("approval.notYou")}</p>}
      <ReasonDialog opened={denying} title={t("approval.denyTitle", { step: titled(step, step.name) })} label={t("approval.denyReason")} act={t("approval.deny")} color="red" busy={deny.isPending}
        onClose={() => setDenying(false)} onGive={(reason) => deny.mutate(reason)} />
    </section>
  );
}

function AutoUndo({ secs }: { secs: number }) {
  const { t, span } = useSpeech();
  return <span className="quiet"> · {t("approval.autoUndo", { span: span(secs) })}</span>;
}

export function Effect({ effect }: { effect: string }) {
  const { term } = useSpeech();
  return <Chip tone={effect === "irreversible" ? "bad" : effect === "reversible" ? "info" : "plain"}>{term("effect", effect)}</Chip>;
}

function Unknown({ run, step }: { run: Run; step: RunStep }) {
  const { t } = useSpeech();
  const [outcome, setOutcome] = useState<"done" | "not_done" | "retry" | null>(null);
  const resolve = useAct<string>({
    act: (note) => post(`/runs/${run.id}/resolve`, { step: step.name, outcome, note }),
    told: () => t("resolve.told"), stale: STALE, then: () => setOutcome(null),
  });
  return (
    <div className="unknown">
      <p>{t(step.status === "unknown" || step.undo === "unknown" ? "resolve.why" : "resolve.failed")}</p>
      <div className="acts">
        {(["done", "not_done", "retry"] as const).map((name) => <Button key={name} size="compact-xs" variant="default" onClick={() => setOutcome(name)}>{t(`resolve.${name}`)}</Button>)}
      </div>
      <ReasonDialog opened={outcome !== null} title={outcome ? t(`resolve.${outcome}`) : ""} label={t("resolve.note")} act={t("resolve.act")} busy={resolve.isPending}
        onClose={() => setOutcome(null)} onGive={(note) => resolve.mutate(note)} />
    </div>
  );
}

/** A target before its look-ups were filled in names its input: `{inputs.user}`. */
const filled = (target: string, run: Run) =>
  target.replace(/\{inputs\.(\w+)\}/g, (whole, name: string) => (run.inputs[name] === undefined ? whole : String(run.inputs[name])));

function StepLine({ run, step, at }: { run: Run; step: RunStep; at: number }) {
  const { t, term, n, titled } = useSpeech();
  const { can } = useSigned();
  const [open, setOpen] = useState(false);
  const [undoing, setUndoing] = useState(false);
  const undo = useAct({ act: () => post(`/runs/${run.id}/undo`, { step: step.name }), told: () => t("undo.told"), stale: STALE, then: () => setUndoing(false) });
  const undoable = step.undo === "open" || step.undo === "failed";
  return (
    <li className={`step step-${step.status}`}>
      <div className="step-head">
        <span className="step-at">{at + 1}</span>
        <button type="button" className="as-link step-name" aria-expanded={open} onClick={() => setOpen(!open)}>{titled(step, step.name)}</button>
        {step.target ? <span className="mono step-target"><Outside text={filled(step.target, run)} /></span> : null}
        <Chip tone={toneOf(step.status)}>{term("stepStatus", step.status)}</Chip>
        {step.undo !== "none" ? <Chip tone={UNDO_TONES[step.undo]}>{t(`undo.${step.undo}`)}</Chip> : null}
        {undoable && can("respond") ? <Button size="compact-xs" variant="default" leftSection={<IconUndo size={13} />} loading={undo.isPending} onClick={() => setUndoing(true)}>{t("undo.act")}</Button> : null}
      </div>
      {step.detail ? <p className="step-detail"><Outside text={step.detail} /></p> : null}
      {step.undo_due && step.undo === "open" ? <p className="step-detail">{t("undo.due")} <Ago time={step.undo_due} /></p> : null}
      {(["unknown", "failed"].includes(step.status) || step.undo === "unknown") && run.finished_at === null && can("respond") ? <Unknown run={run} step={step} /> : null}
      {open ? (
        <dl className="facts step-facts">
          <div><dt>{t("approval.what")}</dt><dd><ActionView action={step.action} /></dd></div>
          <div><dt>{t("approval.effect")}</dt><dd><Effect effect={step.effect} /></dd></div>
          {step.intent_at ? <div><dt>{t("step.intent")}</dt><dd><Stamp time={step.intent_at} /></dd></div> : null}
          {step.result_at ? <div><dt>{t("step.result")}</dt><dd><Stamp time={step.result_at} /></dd></div> : null}
          {step.attempts ? <div><dt>{t("step.attempts")}</dt><dd>{n(step.attempts)}</dd></div> : null}
          {step.approver ? <div><dt>{t("step.approver")}</dt><dd>{step.approver}</dd></div> : null}
          {step.undo_action ? <div><dt>{t("approval.undo")}</dt><dd><ActionView action={step.undo_action} /></dd></div> : null}
          {step.output !== undefined && step.output !== null ? <div><dt>{t("step.output")}</dt><dd><pre className="small"><Outside text={typeof step.output === "string" ? step.output : JSON.stringify(step.output, null, 1)} lines /></pre></dd></div> : null}
        </dl>
      ) : null}
      <ReasonDialog opened={undoing} title={t("undo.title", { step: titled(step, step.name) })} act={t("undo.act")} busy={undo.isPending}
        intro={<div><p>{t("undo.intro")}</p><ActionView action={step.undo_action} /></div>} onClose={() => setUndoing(false)} onGive={() => undo.mutate()} />
    </li>
  );
}

export function RunCard({ run }: { run: Run }) {
  const { term, titled } = useSpeech();
  return (
    <article className="run" id={run.id}>
      <header className="run-head">
        <strong>{titled(run, run.playbook)}</strong>
        <span className="mono quiet">{run.id}</span>
        <Chip tone={toneOf(run.status)}>{term("runStatus", run.status)}</Chip>
        <span className="quiet"><Ago time={run.opened_at} /> · {term("actor", run.requested_by)}</span>
      </header>
      <ol className="steps">
        {run.steps.map((step, at) => <StepLine key={step.name} run={run} step={step} at={at} />)}
      </ol>
    </article>
  );
}
