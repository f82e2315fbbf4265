// One rule: what it looks for, how far it is in its life, what it saw, who moved it.
import { ActionIcon, Button, Group } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { get, post } from "../../api/client";
import type { RuleDetail, RuleStage, RuleSummary, RuleVersion } from "../../api/types";
import { useSigned } from "../../app/session";
import { IconClose } from "../../icons";
import { useSpeech } from "../../i18n";
import { ErrorNote, Loading } from "../../ui/notes";
import { Ago, Chip, Copy, Outside, Severity, Stamp } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";

export const logsourceText = ({ logsource }: RuleSummary) => [logsource.product, logsource.category, logsource.service].filter(Boolean).join(" / ");

/** The stages that a version may be moved to from where it is. */
const NEXT: Record<string, RuleStage[]> = {
  draft: ["shadow", "live", "retired"],
  shadow: ["live", "draft", "retired"],
  live: ["shadow", "retired"],
  retired: ["draft", "shadow", "live"],
  file: ["shadow", "live"],
};

export function StageChip({ stage }: { stage?: string | null }) {
  const { term } = useSpeech();
  if (!stage) return null;
  return <Chip tone={stage === "live" ? "good" : stage === "shadow" ? "info" : "plain"}>{term("ruleStage", stage)}</Chip>;
}

/** YAML in three colours: keys, comments, and the rest. Text only, nothing is read as markup. */
export function Source({ text }: { text: string }) {
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

function Version({ rule, version, may }: { rule: RuleDetail; version: RuleVersion; may: boolean }) {
  const { t, term } = useSpeech();
  const [asking, setAsking] = useState<RuleStage | null>(null);
  const move = useAct({
    act: (reason: string) => post("/rules/move", { rule: rule.key, to: asking, version: version.version, reason }),
    told: () => t("rules.moved"),
    stale: ["rules", "alerts"],
    then: () => setAsking(null),
  });
  const at = version.stages[0] ?? "draft";
  const next = (NEXT[at] ?? []).filter((stage) => !version.stages.includes(stage));
  return (
    <li className="rule-version">
      <div className="line">
        {version.stages.map((stage) => <StageChip key={stage} stage={stage} />)}
        <code title={version.version}>{version.version.slice(0, 12)}</code>
        {may ? <Link href={`/rules/edit?rule=${encodeURIComponent(rule.id)}&version=${version.version}`}>{t("rules.edit")}</Link> : null}
      </div>
      {may ? (
        <Group gap={6}>
          {next.map((stage) => <Button key={stage} size="compact-xs" variant="default" onClick={() => setAsking(stage)}>{t(`rules.to.${stage}`)}</Button>)}
        </Group>
      ) : null}
      <ReasonDialog opened={asking !== null} title={asking ? t(`rules.to.${asking}`) : ""} intro={asking ? <p>{t(`rules.toHint.${asking}`)}</p> : null}
        label={t("rules.reason")} act={asking ? term("ruleStage", asking) : ""} color={asking === "retired" ? "red" : undefined}
        busy={move.isPending} onClose={() => setAsking(null)} onGive={(reason) => move.mutate(reason)} />
    </li>
  );
}

function Covered({ rule }: { rule: RuleDetail }) {
  const { t, n } = useSpeech();
  const seen = rule.coverage;
  if (!seen) return null;
  return (
    <div><dt>{t("rules.coverage")}</dt><dd>
      {seen.events > 0 ? t("rules.saw", { n: n(seen.events) }) : t("rules.sawNone")}
      {seen.stretches.map(({ first, last }) => <span key={first}> <code>{first}</code> … <code>{last}</code></span>)}
      {"; "}{seen.gaps.length === 0 ? t("rules.noGaps") : t("rules.gaps", { n: seen.gaps.length })}
      {"; "}{t("rules.lag", { n: n(seen.lag_events) })}
      {seen.gaps.map((gap) => <p key={gap} className="quiet"><Outside text={gap} /></p>)}
    </dd></div>
  );
}

function Shadow({ rule }: { rule: RuleDetail }) {
  const { t, n } = useSpeech();
  const shadow = rule.shadow;
  if (!shadow) return null;
  return (
    <div><dt>{t("rules.inShadow")}</dt><dd>
      {t("rules.wouldHave", { n: n(shadow.matches) })} {shadow.last ? <Ago time={shadow.last} /> : null}
      {shadow.samples.length ? <div className="line">{[...shadow.samples].reverse().slice(0, 5).map((place) => <Link key={place} href={`/search?from=all&event=${place}`}>{place}</Link>)}</div> : null}
    </dd></div>
  );
}

export function RulePanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t, n, term, titled, language } = useSpeech();
  const { can } = useSigned();
  const answer = useQuery({ queryKey: ["rules", "one", id], queryFn: ({ signal }) => get<RuleDetail>(`/rules/${encodeURIComponent(id)}`, {}, signal) });
  const rule = answer.data;
  const described = rule ? (language === "zh" && rule.description_zh) || rule.description : "";
  return (
    <aside className="flyout flyout-wide" aria-label={t("alert.rule")}>
      <header className="flyout-head">
        <div className="flyout-title">
          <h2>{rule ? <Outside text={titled(rule)} /> : t("alert.rule")}</h2>
          {rule ? <div className="line">{rule.level ? <Severity level={rule.level} /> : null}<StageChip stage={rule.stage} /><Chip>{term("ruleStatus", rule.status)}</Chip><span className="quiet">{logsourceText(rule)}</span></div> : null}
        </div>
        <ActionIcon onClick={onClose} aria-label={t("action.close")}><IconClose size={16} /></ActionIcon>
      </header>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      {rule ? (
        <div className="flyout-body">
          {described ? <p><Outside text={described} /></p> : null}
          {rule.problems.length > 0 ? <div className={rule.valid ? "fault fault-mild" : "fault"} role="alert"><div><strong>{t(rule.valid ? "rules.doubtful" : "rules.invalid")}</strong>{rule.problems.map((problem) => <p key={`${problem.line} ${problem.message}`}>{t("rules.line", { n: problem.line })}: <Outside text={problem.message} /></p>)}</div></div> : null}
          <dl className="facts">
            <div><dt>{t("rules.hits")}</dt><dd>{n(rule.hits)} {rule.hits > 0 ? <Link href={`/alerts?rule=${encodeURIComponent(rule.id)}&status=all`}>{t("rules.toAlerts")}</Link> : null}</dd></div>
            <div><dt>{t("rules.lastHit")}</dt><dd><Ago time={rule.last_hit} /></dd></div>
            <Shadow rule={rule} />
            <Covered rule={rule} />
            <div><dt>ID</dt><dd className="mono">{rule.id}<Copy text={rule.id} /></dd></div>
            <div><dt>{t("rules.file")}</dt><dd className="mono">{rule.path}</dd></div>
            {rule.tags.length ? <div><dt>{t("rules.tags")}</dt><dd className="line">{rule.tags.map((tag) => <Chip key={tag}>{tag}</Chip>)}</dd></div> : null}
          </dl>
          {rule.versions?.length ? <><h3>{t("rules.versions")}</h3><ul className="rule-versions">{rule.versions.map((version) => <Version key={version.version} rule={rule} version={version} may={can("manage_rules")} />)}</ul></> : null}
          {rule.history?.length ? (
            <><h3>{t("rules.history")}</h3>
              <ul className="rule-versions">{rule.history.map((move) => <li key={move.at + move.to + move.version}><Stamp time={move.at} /> <StageChip stage={move.to} /> <code>{move.version.slice(0, 12)}</code> <Outside text={move.by} />: <Outside text={move.reason} /></li>)}</ul></>
          ) : null}
          <h3>{t("rules.source")} <Copy text={rule.text} /></h3>
          <Source text={rule.text} />
        </div>
      ) : null}
    </aside>
  );
}
