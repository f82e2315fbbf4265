// The rules that run: what each looks for, in its own words, and how often it met something.
import { ActionIcon, MultiSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link, useLocation, useParams } from "wouter";
import { get } from "../api/client";
import type { RuleDetail, RuleSummary } from "../api/types";
import { useKeys } from "../app/keys";
import { IconClose, IconSearch } from "../icons";
import { useSpeech } from "../i18n";
import { useUrl, writeUrl } from "../lib/url";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Copy, Outside, Severity } from "../ui/parts";
import { LEVELS } from "./alerts/Filters";

const logsourceText = ({ logsource }: RuleSummary) => [logsource.product, logsource.category, logsource.service].filter(Boolean).join(" / ");

/** YAML in three colours: keys, comments, and the rest. Text only, nothing is read as markup. */
function Source({ text }: { text: string }) {
  return (
    <pre className="rule-text" tabIndex={0}>
      {text.split("\n").map((line, at) => {
        const found = /^(\s*(?:- )?)([\w.|'"-]+)(:)(.*)$/.exec(line);
        const comment = line.trimStart().startsWith("#");
        return (
          <div key={at} className="rule-line">
            <span className="rule-number" aria-hidden>{at + 1}</span>
            {comment ? <span className="y-comment"><Outside text={line} /></span> : found ? <span>{found[1]}<span className="y-key">{found[2]}</span>{found[3]}<Outside text={found[4] ?? ""} /></span> : <span><Outside text={line || " "} /></span>}
          </div>
        );
      })}
    </pre>
  );
}

function RulePanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t, n, term, titled } = useSpeech();
  const answer = useQuery({ queryKey: ["rules", "one", id], queryFn: ({ signal }) => get<RuleDetail>(`/rules/${encodeURIComponent(id)}`, {}, signal) });
  const rule = answer.data;
  return (
    <aside className="flyout flyout-wide" aria-label={t("alert.rule")}>
      <header className="flyout-head">
        <div className="flyout-title">
          <h2>{rule ? <Outside text={titled(rule)} /> : t("alert.rule")}</h2>
          {rule ? <div className="line"><Severity level={rule.level} /><Chip>{term("ruleStatus", rule.status)}</Chip><span className="quiet">{logsourceText(rule)}</span></div> : null}
        </div>
        <ActionIcon onClick={onClose} aria-label={t("action.close")}><IconClose size={16} /></ActionIcon>
      </header>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {rule ? (
        <div className="flyout-body">
          {rule.problems.length > 0 ? <div className={rule.valid ? "fault fault-mild" : "fault"} role="alert"><div><strong>{t(rule.valid ? "rules.doubtful" : "rules.invalid")}</strong>{rule.problems.map((problem) => <p key={`${problem.line} ${problem.message}`}>{t("rules.line", { n: problem.line })}: <Outside text={problem.message} /></p>)}</div></div> : null}
          <dl className="facts">
            <div><dt>{t("rules.hits")}</dt><dd>{n(rule.hits)} {rule.hits > 0 ? <Link href={`/alerts?rule=${encodeURIComponent(rule.id)}&status=all`}>{t("rules.toAlerts")}</Link> : null}</dd></div>
            <div><dt>{t("rules.lastHit")}</dt><dd><Ago time={rule.last_hit} /></dd></div>
            <div><dt>ID</dt><dd className="mono">{rule.id}<Copy text={rule.id} /></dd></div>
            <div><dt>{t("rules.file")}</dt><dd className="mono">{rule.path}</dd></div>
            {rule.tags.length ? <div><dt>{t("rules.tags")}</dt><dd className="line">{rule.tags.map((tag) => <Chip key={tag}>{tag}</Chip>)}</dd></div> : null}
          </dl>
          <h3>{t("rules.source")} <Copy text={rule.text} /></h3>
          <Source text={rule.text} />
        </div>
      ) : null}
    </aside>
  );
}

const fits = (rule: RuleSummary, words: string[]) => {
  const text = `${rule.title} ${rule.title_zh ?? ""} ${rule.id} ${rule.path} ${logsourceText(rule)} ${rule.tags.join(" ")}`.toLowerCase();
  return words.every((word) => text.includes(word));
};

export function RulesPage() {
  const { t, n, term, titled } = useSpeech();
  const [url, setUrl] = useUrl();
  const { id } = useParams<{ id?: string }>();
  const [, go] = useLocation();
  const answer = useQuery({ queryKey: ["rules", "list"], queryFn: ({ signal }) => get<{ rules: RuleSummary[] }>("/rules", {}, signal) });
  const levels = url.level ? url.level.split(",") : [];
  const shown = useMemo(() => {
    const words = (url.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const rules = (answer.data?.rules ?? []).filter((rule) => fits(rule, words) && (levels.length === 0 || levels.includes(rule.level)));
    const kept = url.show === "hits" ? rules.filter((rule) => rule.hits > 0) : url.show === "invalid" ? rules.filter((rule) => !rule.valid) : rules;
    return [...kept].sort((a, b) => b.hits - a.hits || a.title.localeCompare(b.title));
  }, [answer.data, url.q, url.level, url.show]);
  const show = (rule: string | undefined) => go(`/rules${rule ? `/${encodeURIComponent(rule)}` : ""}${writeUrl(Object.fromEntries(new URLSearchParams(window.location.search)))}`, { replace: true });
  useKeys({ "/": () => document.getElementById("rules-filter")?.focus(), Escape: () => show(undefined) });
  const total = answer.data?.rules.length ?? 0;
  return (
    <div className="queue">
      <header className="page-head"><h1>{t("nav.rules")}</h1></header>
      <div className="filters">
        <TextInput id="rules-filter" className="filter-text" value={url.q ?? ""} onChange={(event) => setUrl({ q: event.currentTarget.value }, true)} placeholder={t("rules.filter")} aria-label={t("rules.filter")} leftSection={<IconSearch size={13} aria-hidden />} />
        <MultiSelect className="filter-levels" size="xs" aria-label={t("alerts.level")} placeholder={levels.length ? undefined : t("alerts.anyLevel")} clearable value={levels} onChange={(next) => setUrl({ level: next.join(",") })}
          data={LEVELS.map((value) => ({ value, label: term("level", value) }))} />
        <SegmentedControl aria-label={t("rules.show")} value={url.show ?? ""} onChange={(value) => setUrl({ show: value })}
          data={[{ value: "", label: t("rules.all") }, { value: "hits", label: t("rules.withHits") }, { value: "invalid", label: t("rules.broken") }]} />
        <span className="filter-count" aria-live="polite">{t("rules.count", { n: shown.length, total })}</span>
      </div>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      <div className="queue-body">
        <div className="queue-list groups">
          {shown.length > 0 ? (
            <table className="table">
              <thead><tr><th>{t("alerts.level")}</th><th>{t("rules.title")}</th><th className="wide-only">{t("rules.logsource")}</th><th className="num">{t("rules.hits")}</th><th>{t("rules.lastHit")}</th></tr></thead>
              <tbody>
                {shown.map((rule) => (
                  <tr key={rule.id + rule.path} className={rule.id === id ? "click row-open" : "click"} onClick={() => show(rule.id)}>
                    <td><Severity level={rule.level} /></td>
                    <td><button type="button" className="as-link" onClick={(event) => (event.stopPropagation(), show(rule.id))}><Outside text={titled(rule)} /></button>{rule.valid ? null : <> <Chip tone="bad">{t("rules.invalid")}</Chip></>}</td>
                    <td className="quiet wide-only">{logsourceText(rule)}</td>
                    <td className="num">{n(rule.hits)}</td>
                    <td className="nowrap"><Ago time={rule.last_hit} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : null}
          {answer.isSuccess && shown.length === 0 ? <Empty title={t(total === 0 ? "rules.none" : "rules.noneHere")} hint={t(total === 0 ? "rules.noneHint" : "rules.noneHereHint")} /> : null}
        </div>
        {id ? <RulePanel key={id} id={decodeURIComponent(id)} onClose={() => show(undefined)} /> : null}
      </div>
    </div>
  );
}
