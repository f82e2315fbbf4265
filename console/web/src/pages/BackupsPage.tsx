// Backups: what there is and whether it holds, the last restore that was tried, and doing each now.
import { Button, Menu } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get, post } from "../api/client";
import type { Backup, BackupsAnswer } from "../api/keeping";
import { useSigned } from "../app/session";
import { IconCheck, IconWarn } from "../icons";
import { useSpeech } from "../i18n";
import { size } from "../lib/format";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Panel, Stamp } from "../ui/parts";
import { useAct } from "../ui/useAct";

const KINDS = ["full", "differential", "incremental"] as const;

function Acts({ busy }: { busy: boolean }) {
  const { t, term } = useSpeech();
  const { can } = useSigned();
  const stale = ["backups"];
  const make = useAct({ act: (kind: string) => post("/backups", { kind }), told: () => t("backups.told"), stale });
  const verify = useAct({ act: () => post("/backups/verify", {}), told: () => t("backups.verifyTold"), stale });
  const drill = useAct({ act: () => post("/backups/drill", {}), told: () => t("backups.drillTold"), stale });
  if (!can("manage_backups")) return null;
  return (
    <div className="line">
      <Menu position="bottom-end">
        <Menu.Target><Button size="compact-sm" disabled={busy}>{t("backups.now")}</Button></Menu.Target>
        <Menu.Dropdown>
          {KINDS.map((kind) => <Menu.Item key={kind} onClick={() => make.mutate(kind)}>{term("backups.kind", kind)}</Menu.Item>)}
        </Menu.Dropdown>
      </Menu>
      <Button size="compact-sm" variant="default" disabled={busy} onClick={() => verify.mutate(undefined)}>{t("backups.verifyNow")}</Button>
      <Button size="compact-sm" variant="default" disabled={busy} onClick={() => drill.mutate(undefined)}>{t("backups.drillNow")}</Button>
    </div>
  );
}

function Verified({ backup }: { backup: Backup }) {
  const { t, n, ago } = useSpeech();
  const took = backup.damaged > 0 ? <Chip tone="warn">{t("backups.tookDamaged", { n: backup.damaged })}</Chip> : null;
  if (!backup.checked) return <><span className="quiet">{t("backups.readBack")}</span> {took}</>;
  const { ok, proven, at, errors } = backup.checked;
  if (!ok) return <span title={errors.join("\n")}><Chip tone="bad">{t("backups.damaged", { ago: ago(at) })}</Chip> <span className="quiet small">{n(errors.length)}</span></span>;
  return <><Chip tone="good">{t(proven ? "backups.ok" : "backups.bytesOk", { ago: ago(at) })}</Chip> {took}</>;
}

function Drilled({ drill }: { drill: BackupsAnswer["drill"] }) {
  const { t } = useSpeech();
  return (
    <Panel title={t("backups.lastDrill")}>
      {!drill ? <p className="quiet">{t("backups.noDrill")}</p> : (
        <p className="line">
          {drill.ok ? <IconCheck size={16} aria-hidden /> : <IconWarn size={16} aria-hidden />}
          <span>{drill.ok ? t("backups.drillOk", { records: drill.records, id: drill.id, compared: drill.compared, secs: drill.millis / 1000 }) : t("backups.drillBad", { id: drill.id })}</span>
          <Stamp time={drill.at} short />
        </p>
      )}
      {drill && !drill.ok ? <ul>{drill.errors.map((error) => <li key={error}><Outside text={error} /></li>)}</ul> : null}
    </Panel>
  );
}

function Table({ backups }: { backups: Backup[] }) {
  const { t, n, term } = useSpeech();
  return (
    <div className="card">
      <table className="table">
        <thead>
          <tr><th>{t("backups.age")}</th><th>{t("backups.kind")}</th><th className="num">{t("backups.size")}</th><th className="num wide-only">{t("backups.stored")}</th><th className="num wide-only">{t("backups.commit")}</th><th>{t("backups.verified")}</th></tr>
        </thead>
        <tbody>
          {backups.map((backup) => (
            <tr key={backup.id}>
              <td><Ago time={backup.created_at} /><div className="mono quiet small">{backup.id}</div></td>
              <td>{term("backups.kind", backup.kind)}</td>
              <td className="num nowrap">{size(backup.bytes)}</td>
              <td className="num nowrap wide-only">{size(backup.stored_bytes)}</td>
              <td className="num wide-only">{n(backup.commit)}</td>
              <td><Verified backup={backup} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function BackupsPage() {
  const { t, term } = useSpeech();
  const answer = useQuery({
    queryKey: ["backups"],
    queryFn: ({ signal }) => get<BackupsAnswer>("/backups", {}, signal),
    refetchInterval: (query) => (query.state.data?.running ? 1_000 : 10_000),
  });
  const data = answer.data;
  const running = data?.running;
  return (
    <Page title={t("nav.backups")} aside={data?.to ? <Acts busy={running !== undefined} /> : null}>
      <p className="lead">{t("backups.intro")}</p>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {data && !data.to ? <Empty title={t("backups.off")} hint={<><span>{t("backups.offHint")}</span><code className="command">{`[backup]\nto = "file:///var/backups/custos"`}</code></>} /> : null}
      {data?.to ? <p>{t("backups.to")}: <span className="mono"><Outside text={data.to} /></span></p> : null}
      {running ? <p role="status"><Chip tone="info">{t("backups.running", { what: term("backups.what", running.what), parts: running.parts, total: running.parts_total, bytes: size(running.bytes) })}</Chip></p> : null}
      {data?.failed ? <p className="line" role="alert"><Chip tone="bad">{t("backups.failed")}: {term("backups.what", data.failed.what)}</Chip> <Outside text={data.failed.reason} /> <Ago time={data.failed.at} /></p> : null}
      {data?.to ? <Drilled drill={data.drill} /> : null}
      {data?.to && data.backups.length === 0 ? <Empty title={t("backups.none")} hint={t("backups.noneHint")} /> : null}
      {data && data.backups.length > 0 ? <Table backups={data.backups} /> : null}
    </Page>
  );
}
