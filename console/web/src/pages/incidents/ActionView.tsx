// What an action does, as one line: a request, a mail, a message, a query, a task.
import { Outside } from "../../ui/parts";
import { useSpeech, type Speech } from "../../i18n";

type Named = Record<string, unknown>;

/** Any value as short text. */
export function actionText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  const named = value as Named;
  if (typeof named.name === "string") return named.name;
  return JSON.stringify(value);
}

function lineOf(action: Named, { t, titled }: Pick<Speech, "t" | "titled">): string {
  switch (action.kind) {
    case "http":
      return `${String(action.method)} ${String(action.endpoint)}${String(action.path)}`;
    case "email":
      if (action.customer) return `${t("action.toCustomer", { id: String(action.customer) })} · ${String(action.subject)}`;
      return `${Array.isArray(action.to) ? action.to.join(", ") : String(action.to)} · ${String(action.subject)}`;
    case "kafka":
      return String(action.topic);
    case "query":
      return String(action.query);
    case "task":
      return titled({ title: String(action.title), title_zh: String(action.title_zh ?? "") });
    default:
      return JSON.stringify(action);
  }
}

export function ActionView({ action }: { action: unknown }) {
  const { t, term, titled } = useSpeech();
  if (action === null || action === undefined) return <>–</>;
  if (typeof action !== "object") return <span className="mono"><Outside text={String(action)} /></span>;
  const named = action as Named;
  const body = named.json ?? named.text;
  return (
    <span className="action">
      <span className="action-kind">{term("action", String(named.kind ?? ""))}</span>
      <span className="mono"><Outside text={lineOf(named, { t, titled })} /></span>
      {body !== undefined && body !== null ? <pre className="action-body"><Outside text={typeof body === "string" ? body : JSON.stringify(body)} lines /></pre> : null}
    </span>
  );
}
