// Alerts become an incident, or part of one that is open.
import { Button, Group, Modal, Radio, Select, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get } from "../../api/client";
import type { IncidentSummary } from "../../api/respond";
import { useSpeech } from "../../i18n";
import { ErrorNote } from "../../ui/notes";
import { useAct } from "../../ui/useAct";
import { addToIncident, openIncident, STALE } from "./acts";

interface Props {
  alerts: string[] | null;
  title: string;
  onClose: () => void;
  onDone: (incident: string) => void;
}

export function EscalateDialog({ alerts, title, onClose, onDone }: Props) {
  const { t, titled } = useSpeech();
  const [way, setWay] = useState<"new" | "old">("new");
  const [name, setName] = useState(title);
  const [incident, setIncident] = useState<string | null>(null);
  const open = alerts !== null;
  useEffect(() => {
    if (open) (setName(title), setWay("new"), setIncident(null));
  }, [open, title]);
  const incidents = useQuery({
    queryKey: ["incidents", "open"],
    queryFn: () => get<{ incidents: IncidentSummary[] }>("/incidents", { status: "open", limit: 100 }),
    enabled: open,
  });
  const act = useAct<string[], string>({
    act: async (ids) => {
      if (way === "old" && incident) return (await addToIncident(incident, ids), incident);
      return (await openIncident(name.trim(), ids)).id;
    },
    told: (id) => t("escalate.done", { id }),
    stale: STALE,
    then: onDone,
    quietError: true,
  });
  const valid = way === "new" ? name.trim() !== "" : incident !== null;
  return (
    <Modal opened={open} onClose={onClose} title={t("escalate.title", { n: alerts?.length ?? 0 })} closeButtonProps={{ "aria-label": t("action.close") }}>
      <form onSubmit={(event) => (event.preventDefault(), valid && alerts && act.mutate(alerts))}>
        <Stack gap="sm">
          <Radio.Group value={way} onChange={(value) => setWay(value as "new" | "old")} aria-label={t("escalate.way")}>
            <Group gap="md"><Radio value="new" label={t("escalate.new")} size="xs" /><Radio value="old" label={t("escalate.old")} size="xs" disabled={!incidents.data?.incidents.length} /></Group>
          </Radio.Group>
          {way === "new" ? (
            <TextInput label={t("escalate.name")} value={name} onChange={(event) => setName(event.currentTarget.value)} required data-autofocus maxLength={200} />
          ) : (
            <Select label={t("nav.incidents")} value={incident} onChange={setIncident} searchable
              data={(incidents.data?.incidents ?? []).map((item) => ({ value: item.id, label: `${item.id} · ${titled(item)}` }))} />
          )}
          {act.error ? <ErrorNote error={act.error} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>{t("action.cancel")}</Button>
            <Button type="submit" disabled={!valid} loading={act.isPending}>{t("alert.escalate")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
