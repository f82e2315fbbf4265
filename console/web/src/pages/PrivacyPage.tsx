// Privacy: erasing a person takes two people. One asks, another approves; then the key is gone, and with it what it sealed.
import { Button, Group, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import { useSigned } from "../app/session";
import { useSpeech } from "../i18n";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Chip, Outside, Page, Stamp } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { useAct } from "../ui/useAct";

interface Erasure {
  subject: string;
  stage: "requested" | "approved" | "denied" | "erased";
  reason: string;
  requested_by?: string;
  requested_at?: string;
  answered_by?: string;
  answered_at?: string;
  erased_at?: string;
}

const STALE = ["erasures"];

function Ask() {
  const { t } = useSpeech();
  const [subject, setSubject] = useState("");
  const [reason, setReason] = useState("");
  const ask = useAct({
    act: () => post("/privacy/erasures", { subject, reason }),
    told: () => t("privacy.asked"),
    stale: STALE,
    then: () => (setSubject(""), setReason("")),
  });
  return (
    <form className="card privacy-ask" onSubmit={(event) => (event.preventDefault(), ask.mutate(undefined))}>
      <Stack gap="sm">
        <h2>{t("privacy.ask")}</h2>
        <PasswordInput label={t("privacy.subject")} description={t("privacy.subjectHint")} value={subject} required autoComplete="off"
          onChange={(event) => setSubject(event.currentTarget.value)} />
        <TextInput label={t("privacy.reason")} value={reason} required maxLength={1000} onChange={(event) => setReason(event.currentTarget.value)} />
        <Group><Button type="submit" loading={ask.isPending} disabled={!subject || !reason.trim()}>{t("privacy.askAct")}</Button></Group>
      </Stack>
    </form>
  );
}

function Answer({ erasure }: { erasure: Erasure }) {
  const { t } = useSpeech();
  const { session } = useSigned();
  const [asking, setAsking] = useState<"approve" | "deny" | null>(null);
  const path = `/privacy/erasures/${erasure.subject}`;
  const close = () => setAsking(null);
  const approve = useAct({ act: () => post(`${path}/approve`), told: () => t("privacy.erasedTold"), stale: STALE, then: close });
  const deny = useAct({ act: (reason: string) => post(`${path}/deny`, { reason }), told: () => t("privacy.deniedTold"), stale: STALE, then: close });
  if (erasure.stage !== "requested") return null;
  const own = erasure.requested_by === session.user.name;
  return (
    <Group gap={6} justify="flex-end">
      {own ? <span className="quiet">{t("privacy.own")}</span> : <Button size="compact-xs" color="red" onClick={() => setAsking("approve")}>{t("privacy.approve")}</Button>}
      <Button size="compact-xs" variant="default" onClick={() => setAsking("deny")}>{t("privacy.deny")}</Button>
      <ReasonDialog opened={asking === "approve"} title={t("privacy.approve")} act={t("privacy.approveAct")} color="red" busy={approve.isPending}
        intro={<p>{t("privacy.approveIntro")}</p>} onClose={close} onGive={() => approve.mutate(undefined)} />
      <ReasonDialog opened={asking === "deny"} title={t("privacy.deny")} label={t("privacy.reason")} act={t("privacy.deny")} busy={deny.isPending}
        onClose={close} onGive={(reason) => deny.mutate(reason)} />
    </Group>
  );
}

const TONES = { requested: "warn", approved: "warn", denied: "plain", erased: "good" } as const;

function List({ erasures }: { erasures: Erasure[] }) {
  const { t } = useSpeech();
  return (
    <div className="card">
      <table className="table">
        <thead><tr><th>{t("privacy.hash")}</th><th>{t("privacy.stage")}</th><th>{t("privacy.reason")}</th><th>{t("privacy.askedBy")}</th><th>{t("privacy.answeredBy")}</th><th><span className="sr">{t("privacy.approve")}</span></th></tr></thead>
        <tbody>
          {erasures.map((erasure) => (
            <tr key={erasure.subject}>
              <td className="mono" title={erasure.subject}>{erasure.subject.slice(0, 12)}…</td>
              <td><Chip tone={TONES[erasure.stage]}>{t(`privacy.stage.${erasure.stage}`)}</Chip></td>
              <td><Outside text={erasure.reason} /></td>
              <td>{erasure.requested_by} {erasure.requested_at ? <Stamp time={erasure.requested_at} short /> : null}</td>
              <td>{erasure.answered_by} {erasure.answered_at ? <Stamp time={erasure.answered_at} short /> : null}</td>
              <td className="end"><Answer erasure={erasure} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function PrivacyPage() {
  const { t, n } = useSpeech();
  const answer = useQuery({
    queryKey: ["erasures"],
    queryFn: ({ signal }) => get<{ erasures: Erasure[]; subjects: number }>("/privacy/erasures", {}, signal),
    refetchInterval: 30_000,
  });
  const erasures = answer.data?.erasures ?? [];
  return (
    <Page title={t("nav.privacy")}>
      <p className="lead">{t("privacy.intro")}</p>
      {answer.data ? <p className="quiet">{t("privacy.subjects", { n: n(answer.data.subjects) })}</p> : null}
      <Ask />
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {answer.isSuccess && erasures.length === 0 ? <Empty title={t("privacy.none")} hint={t("privacy.noneHint")} /> : null}
      {erasures.length > 0 ? <List erasures={erasures} /> : null}
    </Page>
  );
}
