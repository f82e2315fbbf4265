// Recovery tasks: owner, due time, and the next thing to do with each.
import { Button } from "@mantine/core";
import { useState } from "react";
import { post } from "../../api/client";
import type { Task } from "../../api/respond";
import { useSigned } from "../../app/session";
import { useSpeech } from "../../i18n";
import { Ago, Chip, Outside, type Tone } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";
import { STALE } from "./RunCard";

const TONES: Record<string, Tone> = { open: "warn", started: "info", done: "info", signed_off: "good", verifying: "info", not_clean: "bad" };

type Act = "assign" | "start" | "done" | "sign_off";

/** What comes next in a task's life. */
function nextActs(task: Task): Act[] {
  if (task.status === "open") return task.owner ? ["start", "done"] : ["assign", "start"];
  if (task.status === "started" || task.status === "not_clean") return ["done"];
  if (task.status === "done") return ["sign_off"];
  return [];
}

function TaskLine({ task }: { task: Task }) {
  const { t, term, span, titled } = useSpeech();
  const { can, session } = useSigned();
  const [asking, setAsking] = useState<"done" | "sign_off" | null>(null);
  const send = useAct<{ act: Act; note?: string }>({
    act: ({ act, note }) => post(`/tasks/${task.id}/${act}`, act === "assign" ? { owner: session.user.name } : note === undefined ? {} : { note }),
    told: (_, { act }) => t(`task.told.${act}`),
    stale: STALE,
    then: () => setAsking(null),
  });
  const go = (act: Act) => (act === "done" || act === "sign_off" ? setAsking(act) : send.mutate({ act }));
  const late = task.due && task.status !== "signed_off" && Date.parse(task.due) < Date.now();
  return (
    <li className="task">
      <div className="task-head">
        <span className="task-title"><Outside text={titled(task)} /></span>
        <Chip tone={TONES[task.status] ?? "plain"}>{term("taskStatus", task.status)}</Chip>
      </div>
      <div className="task-meta">
        <span className="mono">{task.id}</span>
        <span>{t("task.owner")}: {task.owner ?? t("incidents.nobody")}</span>
        {task.due ? <span className={late ? "late" : undefined}>{t(late ? "task.late" : "task.due")} <Ago time={task.due} /></span> : null}
        {task.probed ? <span>{t("task.probed")}: <Outside text={task.probed} /></span> : null}
        {task.rto_secs ? <span>RTO {span(task.rto_secs)}</span> : null}
        {task.done_by ? <span>{t("task.doneBy")} {task.done_by}</span> : null}
      </div>
      {can("respond") ? (
        <div className="acts">
          {nextActs(task).map((act) => <Button key={act} size="compact-xs" variant="default" loading={send.isPending} onClick={() => go(act)}>{t(`task.${act}`)}</Button>)}
        </div>
      ) : null}
      <ReasonDialog opened={asking !== null} title={asking ? t(`task.${asking}`) : ""} label={t("task.note")} act={asking ? t(`task.${asking}`) : ""} busy={send.isPending}
        intro={asking === "sign_off" ? <p className="quiet">{t("task.signOffHint")}</p> : null} onClose={() => setAsking(null)} onGive={(note) => asking && send.mutate({ act: asking, note })} />
    </li>
  );
}

export function TaskList({ tasks }: { tasks: Task[] }) {
  const { t } = useSpeech();
  if (tasks.length === 0) return <p className="quiet">{t("task.none")}</p>;
  return <ul className="tasks">{tasks.map((task) => <TaskLine key={task.id} task={task} />)}</ul>;
}
