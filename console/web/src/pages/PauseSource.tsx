// A pause of what is read from Kafka: since when, by whom and why; who may, pauses and resumes it here.
import { Button } from "@mantine/core";
import { useState } from "react";
import { post } from "../api/client";
import type { PausedSource, SourcesAnswer } from "../api/types";
import { useSigned } from "../app/session";
import { useSpeech } from "../i18n";
import { Ago, Chip, Outside } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { useAct } from "../ui/useAct";

/** The name that stands for all of Kafka. */
const ALL = "kafka";

export function PauseSource({ name, all }: { name: string; all: PausedSource[] }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [asking, setAsking] = useState<"pause" | "resume">();
  const own = all.find((one) => one.source === name);
  const withAll = all.find((one) => one.source === ALL);
  const shown = own ?? withAll;
  const act = useAct({
    act: ({ verb, reason }: { verb: "pause" | "resume"; reason: string }) => post<SourcesAnswer>(`/sources/${encodeURIComponent(name)}/${verb}`, verb === "pause" ? { reason } : {}),
    told: (_, { verb }) => t(verb === "pause" ? "pause.paused" : "pause.resumed", { name }),
    stale: ["sources"],
    quietError: true,
    then: () => setAsking(undefined),
  });
  const button = (verb: "pause" | "resume") => can("manage_sources")
    ? <Button size="compact-xs" variant="default" onClick={() => setAsking(verb)} aria-label={t(`pause.${verb}Of`, { name })}>{t(`pause.${verb}`)}</Button>
    : null;
  return (
    <>
      {shown ? (
        <div className="line small"><Chip tone="warn">{t(own ? "pause.is" : "pause.withAll")}</Chip> <Outside text={shown.reason} /> <span className="quiet"><Outside text={shown.by} /> · <Ago time={shown.since} /></span></div>
      ) : null}
      {own ? button("resume") : withAll ? null : button("pause")}
      <ReasonDialog opened={asking === "pause"} title={t("pause.pauseOf", { name })} intro={<p>{t("pause.intro")}</p>} label={t("pause.why")} act={t("pause.pause")} busy={act.isPending} error={act.error}
        onClose={() => setAsking(undefined)} onGive={(reason) => act.mutate({ verb: "pause", reason })} />
      <ReasonDialog opened={asking === "resume"} title={t("pause.resumeOf", { name })} intro={<p>{t("pause.resumeIntro")}</p>} act={t("pause.resume")} busy={act.isPending} error={act.error}
        onClose={() => setAsking(undefined)} onGive={() => act.mutate({ verb: "resume", reason: "" })} />
    </>
  );
}
