// Small things that every page shows the same way.
import { ActionIcon, CopyButton, Tooltip } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { Link } from "wouter";
import type { Entity, Level } from "../api/types";
import { IconCheck, IconCopy } from "../icons";
import { useSpeech } from "../i18n";
import { pieces } from "../lib/escape";
import { entityQuery } from "../lib/query";

/** Text from outside: hidden characters shown as escapes, nothing ever read as markup. */
export function Outside({ text, lines = false }: { text: string; lines?: boolean }) {
  return (
    <bdi>
      {pieces(text, lines).map((piece, at) =>
        piece.escape ? <span key={at} className="escape">{piece.text}</span> : piece.text,
      )}
    </bdi>
  );
}

/** Like `Outside`, with the parts lit that match one of the texts. */
export function Lit({ text, lit }: { text: string; lit: string[] }) {
  const wanted = lit.filter((part) => part !== "");
  if (wanted.length === 0) return <Outside text={text} />;
  const escaped = wanted.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${escaped.join("|")})`, "i"));
  return (
    <>
      {parts.map((part, at) => (at % 2 === 1 ? <mark key={at}><Outside text={part} /></mark> : <Outside key={at} text={part} />))}
    </>
  );
}

export function Severity({ level }: { level: Level }) {
  const { term } = useSpeech();
  return (
    <span className={`sev sev-${level}`}>
      <span className="sev-mark" aria-hidden />
      {term("level", level)}
    </span>
  );
}

export type Tone = "plain" | "good" | "warn" | "bad" | "info";

export function Chip({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`chip chip-${tone}`}>{children}</span>;
}

/** A time with its zone; how long ago on hovering, and to screen readers as a machine's time. */
export function Stamp({ time, short = false }: { time: string | undefined | null; short?: boolean }) {
  const { stamp, ago } = useSpeech();
  if (!time) return <span className="quiet">–</span>;
  const shown = stamp(time);
  return (
    <time dateTime={time} className="stamp" title={ago(time)}>
      <span className="stamp-day">{shown.stamp.slice(short ? 5 : 0, 10)} </span>
      {shown.stamp.slice(11, short ? 19 : 23)}
      <span className="stamp-zone">{shown.offset}</span>
    </time>
  );
}

export function Ago({ time }: { time: string | undefined | null }) {
  const { stamp, ago } = useSpeech();
  if (!time) return <span className="quiet">–</span>;
  const shown = stamp(time);
  return <time dateTime={time} title={`${shown.stamp} ${shown.offset}`}>{ago(time)}</time>;
}

export function Copy({ text, label }: { text: string; label?: string }) {
  const { t } = useSpeech();
  return (
    <CopyButton value={text} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t("action.copied") : (label ?? t("action.copy"))}>
          <ActionIcon size="sm" onClick={copy} aria-label={label ?? t("action.copy")}>
            {copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** More are a crowd: shown when asked for. */
const ENTITIES_SHOWN = 10;

export function Entities({ entities = [] }: { entities: Entity[] | undefined }) {
  const { term, t } = useSpeech();
  const [all, setAll] = useState(false);
  if (entities.length === 0) return null;
  const shown = all ? entities : entities.slice(0, ENTITIES_SHOWN);
  const hidden = entities.length - shown.length;
  return (
    <ul className="entities" aria-label={t("entity.label")}>
      {shown.map((entity) => (
        <li key={`${entity.kind} ${entity.value}`}>
          <Link className="entity" href={`/search?q=${encodeURIComponent(entityQuery(entity.kind, entity.value))}&from=-24h`}
            title={t("entity.search")}>
            <span className="entity-kind">{term("entity", entity.kind)}</span>
            <Outside text={entity.value} />
          </Link>
        </li>
      ))}
      {hidden > 0 ? <li><button type="button" className="as-link" onClick={() => setAll(true)}>{t("entity.more", { n: hidden })}</button></li> : null}
    </ul>
  );
}

interface PageProps {
  title: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
}

export function Page({ title, aside, children }: PageProps) {
  return (
    <div className="page">
      <header className="page-head">
        <h1>{title}</h1>
        {aside ? <div className="page-aside">{aside}</div> : null}
      </header>
      {children}
    </div>
  );
}

interface PanelProps {
  title: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}

export function Panel({ title, aside, children, flush = false }: PanelProps) {
  return (
    <section className="panel">
      <header className="panel-head">
        <h2>{title}</h2>
        {aside ? <div className="panel-aside">{aside}</div> : null}
      </header>
      <div className={flush ? "panel-flush" : "panel-body"}>{children}</div>
    </section>
  );
}
