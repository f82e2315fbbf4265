// The rules: what each looks for, how far it is in its life, and how often it met something.
import { Button, MultiSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useLocation, useParams } from "wouter";
import { get, withQuery } from "../../api/client";
import type { RuleSummary } from "../../api/types";
import { useKeys } from "../../app/keys";
import { useSigned } from "../../app/session";
import { IconSearch } from "../../icons";
import { useSpeech } from "../../i18n";
import { useUrl, writeUrl } from "../../lib/url";
import { Empty, ErrorNote, Loading } from "../../ui/notes";
import { Ago, Chip, Outside, Severity } from "../../ui/parts";
import { LEVELS } from "../alerts/Filters";
import { logsourceText, RulePanel, StageChip } from "./RulePanel";

const STAGES = ["live", "shadow", "draft", "retired"];

const fits = (rule: RuleSummary, words: string[]) => {
  const text = `${rule.title} ${rule.title_zh ?? ""} ${rule.id} ${rule.path} ${logsourceText(rule)} ${rule.tags.join(" ")}`.toLowerCase();
  return words.every((word) => text.includes(word));
};

export function RulesPage() {
  const { t, n, term, titled } = useSpeech();
  const { can } = useSigned();
  const [url, setUrl] = useUrl();
  const { id } = useParams<{ id?: string }>();
  const [, go] = useLocation();
  const answer = useQuery({ queryKey: ["rules", "list"], queryFn: ({ signal }) => get<{ rules: RuleSummary[] }>("/rules", {}, signal) });
  const levels = url.level ? url.level.split(",") : [];
  const shown = useMemo(() => {
    const words = (url.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const rules = (answer.data?.rules ?? []).filter((rule) => fits(rule, words) && (levels.length === 0 || levels.includes(rule.level)));
    const kept = url.show === "hits" ? rules.filter((rule) => rule.hits > 0) : url.show === "invalid" ? rules.filter((rule) => !rule.valid) : STAGES.includes(url.show ?? "") ? rules.filter((rule) => rule.stage === url.show || rule.also?.some((stage) => stage === url.show)) : rules;
    return [...kept].sort((a, b) => b.hits - a.hits || a.title.localeCompare(b.title));
  }, [answer.data, url.q, url.level, url.show]);
  const show = (rule: string | undefined) => go(`/rules${rule ? `/${encodeURIComponent(rule)}` : ""}${writeUrl(Object.fromEntries(new URLSearchParams(window.location.search)))}`, { replace: true });
  useKeys({ "/": () => document.getElementById("rules-filter")?.focus(), Escape: () => show(undefined) });
  const total = answer.data?.rules.length ?? 0;
  return (
    <div className="queue">
      <header className="page-head"><h1>{t("nav.rules")}</h1>
        <div className="line">
          <Button component="a" size="compact-sm" variant="default" href={withQuery("/rules/attack-layer")} download="custos-attack-layer.json">{t("rules.attack")}</Button>
          {can("manage_rules") ? <Button size="compact-sm" onClick={() => go("/rules/edit")}>{t("rules.new")}</Button> : null}
        </div>
      </header>
      <div className="filters">
        <TextInput id="rules-filter" className="filter-text" value={url.q ?? ""} onChange={(event) => setUrl({ q: event.currentTarget.value }, true)} placeholder={t("rules.filter")} aria-label={t("rules.filter")} leftSection={<IconSearch size={13} aria-hidden />} />
        <MultiSelect className="filter-levels" size="xs" aria-label={t("alerts.level")} placeholder={levels.length ? undefined : t("alerts.anyLevel")} clearable value={levels} onChange={(next) => setUrl({ level: next.join(",") })}
          data={LEVELS.map((value) => ({ value, label: term("level", value) }))} />
        <SegmentedControl aria-label={t("rules.show")} value={url.show ?? ""} onChange={(value) => setUrl({ show: value })}
          data={[{ value: "", label: t("rules.all") }, { value: "hits", label: t("rules.withHits") }, { value: "invalid", label: t("rules.broken") }, ...STAGES.map((value) => ({ value, label: term("ruleStage", value) }))]} />
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
                    <td>{rule.level ? <Severity level={rule.level} /> : <span className="quiet">–</span>}</td>
                    <td><button type="button" className="as-link" onClick={(event) => (event.stopPropagation(), show(rule.id))}><Outside text={titled(rule)} /></button>{rule.valid ? null : <> <Chip tone="bad">{t("rules.invalid")}</Chip></>}{rule.stage === "live" ? null : <> <StageChip stage={rule.stage} /></>}{rule.also?.map((stage) => <span key={stage}> <StageChip stage={stage} /></span>)}</td>
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
