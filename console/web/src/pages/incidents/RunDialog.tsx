// Starting a playbook: which one, its inputs, what it would do, then for real.
import { Button, Group, Modal, Select, Stack, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { get, post } from "../../api/client";
import type { Incident, PlannedStep, Playbook, PlaybookInput } from "../../api/respond";
import { useSpeech } from "../../i18n";
import { ErrorNote } from "../../ui/notes";
import { Chip, Outside } from "../../ui/parts";
import { useAct } from "../../ui/useAct";
import { ActionView } from "./ActionView";
import { Effect, STALE } from "./RunCard";

interface Props {
  incident: Incident;
  opened: boolean;
  onClose: () => void;
}

/** What the incident's entities suggest for an input, by its type. */
function suggested(input: PlaybookInput, incident: Incident): string {
  const found = incident.entities.find((entity) => entity.kind === input.type || entity.kind === input.name);
  if (found) return found.value;
  return input.default === undefined || input.default === null ? "" : String(input.default);
}

export function RunDialog({ incident, opened, onClose }: Props) {
  const { t, titled } = useSpeech();
  const [chosen, setChosen] = useState<string | null>(null);
  const [inputs, setInputs] = useState<Record<string, string>>({});
  const playbooks = useQuery({ queryKey: ["playbooks"], queryFn: () => get<{ playbooks: Playbook[] }>("/playbooks"), enabled: opened });
  const playbook = useMemo(() => playbooks.data?.playbooks.find((item) => item.id === chosen), [playbooks.data, chosen]);
  const given = Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== ""));
  const plan = useMutation({ mutationFn: () => post<{ steps: PlannedStep[] }>(`/incidents/${incident.id}/runs/plan`, { playbook: chosen, inputs: given }) });
  const start = useAct({
    act: () => post<{ id: string }>(`/incidents/${incident.id}/runs`, { playbook: chosen, inputs: given }),
    told: (run) => t("runDialog.started", { id: run?.id ?? "" }),
    stale: STALE,
    then: onClose,
    quietError: true,
  });
  useEffect(() => {
    if (!opened) (setChosen(null), plan.reset(), start.reset());
  }, [opened]);
  const choose = (id: string | null) => {
    setChosen(id);
    plan.reset();
    const next = playbooks.data?.playbooks.find((item) => item.id === id);
    setInputs(Object.fromEntries((next?.inputs ?? []).map((input) => [input.name, suggested(input, incident)])));
  };
  return (
    <Modal opened={opened} onClose={onClose} title={t("runDialog.title")} size="lg" closeButtonProps={{ "aria-label": t("action.close") }}>
      <form onSubmit={(event) => (event.preventDefault(), start.mutate())}>
        <Stack gap="sm">
          {playbooks.isError ? <ErrorNote error={playbooks.error} /> : null}
          <Select label={t("runDialog.playbook")} value={chosen} onChange={choose} data-autofocus placeholder={t("runDialog.choose")}
            data={(playbooks.data?.playbooks ?? []).map((item) => ({ value: item.id, label: titled(item) }))} />
          {playbook?.description ? <p className="quiet">{playbook.description}</p> : null}
          {playbook?.inputs.map((input) => (
            <TextInput key={input.name} label={titled(input, input.name)} description={t("runDialog.inputType", { name: input.name, type: input.type })} required={input.required}
              value={inputs[input.name] ?? ""} onChange={(event) => (setInputs({ ...inputs, [input.name]: event.currentTarget.value }), plan.reset())} />
          ))}
          {plan.error ? <ErrorNote error={plan.error} /> : null}
          {plan.data ? (
            <section className="plan" aria-label={t("runDialog.plan")}>
              <div className="minor">{t("runDialog.planNote")}</div>
              <ol className="steps">
                {plan.data.steps.map((step, at) => (
                  <li key={step.name} className="step">
                    <div className="step-head"><span className="step-at">{at + 1}</span><strong>{titled(step, step.name)}</strong>{step.target ? <span className="mono"><Outside text={step.target} /></span> : null}<Effect effect={step.effect} />{step.approval ? <Chip tone="warn">{t("runDialog.asks")}</Chip> : null}{step.skipped ? <Chip>{t("stepStatus.skipped")}</Chip> : null}</div>
                    <p className="step-detail"><ActionView action={step.action} /></p>
                    {step.refused ? <p className="step-detail bad"><Outside text={step.refused} /></p> : null}
                    {step.detail ? <p className="step-detail"><Outside text={step.detail} /></p> : null}
                  </li>
                ))}
              </ol>
            </section>
          ) : null}
          {start.error ? <ErrorNote error={start.error} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>{t("action.cancel")}</Button>
            <Button variant="default" disabled={!chosen} loading={plan.isPending} onClick={() => plan.mutate()}>{t("runDialog.dryRun")}</Button>
            <Button type="submit" disabled={!chosen} loading={start.isPending}>{t("runDialog.start")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
