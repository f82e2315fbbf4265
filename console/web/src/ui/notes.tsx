// What stands where there is nothing (yet), or something went wrong: always with what to do next.
import { Button, Loader } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { PAST_IS_READ_ONLY, Problem } from "../api/client";
import { IconRefresh, IconWarn } from "../icons";
import { useSpeech } from "../i18n";

export function Loading({ full = false }: { full?: boolean }) {
  const { t } = useSpeech();
  return (
    <div className={full ? "note note-full" : "note"} role="status">
      <Loader size="sm" type="dots" aria-hidden />
      <span className="sr">{t("state.loading")}</span>
    </div>
  );
}

interface EmptyProps {
  title: string;
  hint?: ReactNode;
  action?: ReactNode;
}

export function Empty({ title, hint, action }: EmptyProps) {
  return (
    <div className="note">
      <p className="note-title">{title}</p>
      {hint ? <p className="note-hint">{hint}</p> : null}
      {action ? <div className="note-act">{action}</div> : null}
    </div>
  );
}

/** The words for an error: what happened, and what to do. */
export function useErrorText(): (error: unknown) => { title: string; hint: string } {
  const { t } = useSpeech();
  return (error) => {
    if (!(error instanceof Problem)) return { title: t("error.unknown"), hint: t("error.unknownHint") };
    if (error.offline) return { title: t("error.offline"), hint: t("error.offlineHint") };
    if (error.detail === PAST_IS_READ_ONLY) return { title: t("error.refused"), hint: t("past.readOnly") };
    if (error.status === 401) return { title: t("error.signedOut"), hint: error.detail || t("error.signedOutHint") };
    if (error.status === 403) return { title: t("error.forbidden"), hint: error.detail || t("error.forbiddenHint") };
    if (error.status === 404) return { title: t("error.missing"), hint: error.detail || t("error.missingHint") };
    if (error.status === 409) return { title: t("error.conflict"), hint: error.detail || t("error.conflictHint") };
    if (error.status === 429) return { title: t("error.tooMany"), hint: error.detail || t("error.tooManyHint") };
    if (error.status >= 500) return { title: t("error.server"), hint: t("error.serverHint") };
    return { title: error.title || t("error.refused"), hint: error.detail };
  };
}

interface ErrorNoteProps {
  error: unknown;
  /** Better words for a status than the general ones, where the page knows what it means. */
  titles?: Record<number, string>;
  retry?: () => void;
  full?: boolean;
}

export function ErrorNote({ error, titles = {}, retry, full = false }: ErrorNoteProps) {
  const { t } = useSpeech();
  const said = useErrorText()(error);
  const title = (error instanceof Problem ? titles[error.status] : undefined) ?? said.title;
  const hint = said.hint;
  return (
    <div className={full ? "fault fault-full" : "fault"} role="alert">
      <IconWarn size={17} aria-hidden />
      <div>
        <strong>{title}</strong>
        {hint ? <p>{hint}</p> : null}
        {retry ? (
          <Button variant="default" size="compact-xs" leftSection={<IconRefresh size={13} />} onClick={retry}>{t("action.retry")}</Button>
        ) : null}
      </div>
    </div>
  );
}

export function NotFound() {
  const { t } = useSpeech();
  return <Empty title={t("error.noPage")} hint={t("error.noPageHint")} action={<Link href="/">{t("nav.overview")}</Link>} />;
}
