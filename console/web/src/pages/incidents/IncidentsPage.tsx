// All incidents: which are open, who has them, what waits for a person.
import { SegmentedControl } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useLocation } from "wouter";
import { get } from "../../api/client";
import type { IncidentSummary } from "../../api/respond";
import { useSpeech } from "../../i18n";
import { useUrl } from "../../lib/url";
import { Empty, ErrorNote, Loading } from "../../ui/notes";
import { Ago, Chip, Outside, Page, Severity, type Tone } from "../../ui/parts";

const STATUSES = ["open", "contained", "closed", "all"] as const;

export const STATUS_TONE: Record<string, Tone> = { open: "warn", contained: "info", closed: "plain" };

export function IncidentsPage() {
  const { t, term, n, titled } = useSpeech();
  const [url, setUrl] = useUrl();
  const [, go] = useLocation();
  const status = url.status ?? "all";
  const answer = useQuery({
    queryKey: ["incidents", status],
    queryFn: ({ signal }) => get<{ incidents: IncidentSummary[] }>("/incidents", { status, limit: 500 }, signal),
    placeholderData: keepPreviousData,
  });
  const incidents = answer.data?.incidents ?? [];
  const filter = (
    <SegmentedControl aria-label={t("incidents.status")} value={status} onChange={(value) => setUrl({ status: value === "all" ? "" : value })}
      data={STATUSES.map((value) => ({ value, label: term("incidentStatus", value) }))} />
  );
  return (
    <Page title={t("nav.incidents")} aside={filter}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {answer.isSuccess && incidents.length === 0 ? (
        <Empty title={t("incidents.none")} hint={t("incidents.noneHint")} action={<Link href="/alerts">{t("incidents.toAlerts")}</Link>} />
      ) : null}
      {incidents.length > 0 ? (
        <div className="card">
          <table className="table">
            <thead>
              <tr>
                <th>{t("incidents.id")}</th><th>{t("alerts.level")}</th><th>{t("incidents.title")}</th><th>{t("incidents.status")}</th>
                <th className="wide-only">{t("incidents.owner")}</th><th className="num wide-only">{t("nav.alerts")}</th><th>{t("incidents.opened")}</th>
              </tr>
            </thead>
            <tbody>
              {incidents.map((incident) => (
                <tr key={incident.id} className="click" onClick={() => go(`/incidents/${incident.id}`)}>
                  <td className="mono nowrap"><Link href={`/incidents/${incident.id}`} onClick={(event) => event.stopPropagation()}>{incident.id}</Link></td>
                  <td><Severity level={incident.level} /></td>
                  <td><Outside text={titled(incident)} />{incident.waiting_runs > 0 ? <> <Chip tone="warn">{t("runs.waiting", { n: incident.waiting_runs })}</Chip></> : null}</td>
                  <td><Chip tone={STATUS_TONE[incident.status] ?? "plain"}>{term("incidentStatus", incident.status)}</Chip></td>
                  <td className="wide-only">{incident.owner ?? <span className="quiet">{t("incidents.nobody")}</span>}</td>
                  <td className="num wide-only">{n(incident.alerts)}</td>
                  <td className="nowrap"><Ago time={incident.opened_at} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
    </Page>
  );
}
