// A rule before it runs: its text, what is doubtful about it, what it would have found, and where it goes next.
import { Button, Group, Select } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { get, post } from "../../api/client";
import type { BacktestAnswer, LintAnswer, RuleDetail, RuleDiffAnswer, RuleStage } from "../../api/types";
import { useSigned } from "../../app/session";
import { useSpeech } from "../../i18n";
import { useUrl } from "../../lib/url";
import { ErrorNote } from "../../ui/notes";
import { Chip, Outside, Page, Stamp } from "../../ui/parts";
import { ReasonDialog } from "../../ui/ReasonDialog";
import { useAct } from "../../ui/useAct";
import { RuleText, type Found, type RuleTextHandle } from "./RuleText";

/** A pause in typing after which the text is read: shorter than a person waits for, longer than between two keys. */
const PAUSE_MILLIS = 350;

function usePaused(text: string): string {
  const [paused, setPaused] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(text), PAUSE_MILLIS);
    return () => clearTimeout(timer);
  }, [text]);
  return paused;
}

function Problems({ all, onShow }: { all: Found[]; onShow: (problem: Found) => void }) {
  const { t } = useSpeech();
  if (all.length === 0) return <p className="quiet">{t("rules.sound")}</p>;
  return (
    <ul className="rule-versions">
      {all.map((it) => (
        <li key={`${it.line} ${it.column} ${it.message}`}>
          <Chip tone={it.bad ? "bad" : "warn"}>{t(it.bad ? "rules.error" : "rules.warning")}</Chip>{" "}
          <button type="button" className="as-link" onClick={() => onShow(it)}>{t("rules.line", { n: it.line })}</button>: <Outside text={it.message} />
        </li>
      ))}
    </ul>
  );
}

function WouldFind({ answer }: { answer: BacktestAnswer }) {
  const { t, n } = useSpeech();
  const days = new Map<string, number>();
  for (const { day, matches } of answer.days) days.set(day, (days.get(day) ?? 0) + matches);
  const most = Math.max(1, ...days.values());
  return (
    <>
      <p>{t("rules.found", { n: n(answer.matches), events: n(answer.read.events), seconds: answer.read.seconds.toFixed(1) })} {answer.suppressed > 0 ? t("rules.foundSuppressed", { n: n(answer.suppressed) }) : ""} {answer.read.complete ? null : <strong>{t("rules.brokenOff")}</strong>}</p>
      {days.size ? <table className="table rule-days"><tbody>{[...days].map(([day, matches]) => <tr key={day}><td className="mono">{day}</td><td><meter min={0} max={most} value={matches} aria-label={day} /></td><td className="num">{n(matches)}</td></tr>)}</tbody></table> : null}
      {answer.samples.length ? <h3>{t("rules.samples")}</h3> : null}
      <ul className="rule-versions">
        {answer.samples.map((sample) => {
          const place = sample.events.at(-1) ?? "";
          return (
            <li key={sample.rule + place}>
              <Stamp time={sample.time} /> <Link href={`/search?from=all&event=${place}`}>{place}</Link>
              {sample.matched.map((it, at) => <p key={at} className="quiet"><code>{it.selection}</code> <Outside text={`${it.field} ${it.pattern}`} /> <Outside text={it.value} /></p>)}
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Difference({ answer }: { answer: RuleDiffAnswer }) {
  const { t, n, term } = useSpeech();
  const verdicts = Object.entries(answer.lost_verdicts).filter(([, count]) => count > 0);
  return (
    <>
      <p>{t("rules.differs", { same: n(answer.same), gained: n(answer.gained), lost: n(answer.lost) })}{answer.truncated ? ` ${t("rules.truncated")}` : ""}</p>
      {verdicts.length ? <p className="line">{t("rules.lostWere")} {verdicts.map(([name, count]) => <Chip key={name}>{term("diffVerdict", name)}: {n(count)}</Chip>)}</p> : null}
      {([["lost_shown", "−"], ["gained_shown", "+"]] as const).map(([side, sign]) => (
        <ul key={side} className="rule-versions">
          {answer[side].slice(0, 20).map((it) => (
            <li key={it.rule + it.events.join()}>{sign} <Stamp time={it.time} /> {it.alert ? <Link href={`/alerts/${it.alert}?status=all`}>{t("rules.alert")}</Link> : <Link href={`/search?from=all&event=${it.events.at(-1)}`}>{it.events.at(-1)}</Link>} {it.verdict ? <Chip>{term("diffVerdict", it.verdict)}</Chip> : null}</li>
          ))}
        </ul>
      ))}
    </>
  );
}

const SPANS = ["-24h", "-7d", "-30d", ""];

export function RuleEditor() {
  const { t, term } = useSpeech();
  const { can } = useSigned();
  const [url] = useUrl();
  const [, go] = useLocation();
  const editor = useRef<RuleTextHandle>(null);
  const known = useQuery({ queryKey: ["rules", "one", url.rule], queryFn: ({ signal }) => get<RuleDetail>(`/rules/${encodeURIComponent(url.rule ?? "")}`, {}, signal), enabled: Boolean(url.rule) });
  const from = known.data?.versions?.find((it) => it.version === url.version)?.text ?? known.data?.text;
  const [text, setText] = useState("");
  const [over, setOver] = useState("");
  const [asking, setAsking] = useState<RuleStage | null>(null);
  useEffect(() => {
    if (from !== undefined) setText((now) => now || from);
  }, [from]);
  const paused = usePaused(text);
  const lint = useQuery({ queryKey: ["lint", paused], queryFn: () => post<LintAnswer>("/rules/lint", { text: paused }), enabled: paused.trim() !== "", staleTime: Infinity });
  const span = over ? { from: over } : {};
  const backtest = useMutation({ mutationFn: () => post<BacktestAnswer>("/rules/backtest", { text, over: span }) });
  const diff = useMutation({ mutationFn: () => post<RuleDiffAnswer>("/rules/diff", { new: text, over: span }) });
  const move = useAct({
    act: (reason: string) => post<{ rule?: string }>("/rules/move", { to: asking, text, reason }),
    told: () => t("rules.moved"),
    stale: ["rules", "alerts"],
    then: () => go(`/rules/${encodeURIComponent(lint.data?.rules[0]?.id ?? url.rule ?? "")}`),
  });
  const problems = useMemo((): Found[] => {
    const { errors = [], warnings = [] } = lint.data ?? {};
    return [...errors.map((it) => ({ ...it, bad: true })), ...warnings.map((it) => ({ ...it, bad: false }))];
  }, [lint.data]);
  const ready = lint.data?.valid === true && paused === text;
  const isKnown = lint.data?.rules.some((rule) => rule.known) ?? false;
  return (
    <Page title={t(url.rule ? "rules.editTitle" : "rules.newTitle")}>
      <div className="rule-bench">
        <section>
          <div>
            <h2 className="label">{t("rules.text")}</h2>
            <RuleText ref={editor} text={text} label={t("rules.text")} hint={t("rules.paste")} problems={problems} onChange={setText} />
          </div>
          {known.isError ? <ErrorNote error={known.error} /> : null}
          {lint.isError ? <ErrorNote error={lint.error} /> : null}
          <div aria-live="polite">{lint.data ? <Problems all={problems} onShow={(problem) => editor.current?.show(problem)} /> : null}</div>
          {can("manage_rules") ? (
            <Group gap={6}>
              {(["draft", "shadow", "live"] as const).map((stage) => <Button key={stage} variant={stage === "live" ? "filled" : "default"} disabled={!ready} onClick={() => setAsking(stage)}>{t(`rules.to.${stage}`)}</Button>)}
            </Group>
          ) : <p className="quiet">{t("rules.notYou")}</p>}
        </section>
        <section>
          <Group gap={6} align="end">
            <Select w={250} label={t("rules.over")} value={over} onChange={(value) => setOver(value ?? "")} allowDeselect={false} data={SPANS.map((value) => ({ value, label: term("rules.span", value || "all") }))} />
            <Button variant="default" disabled={!ready || !can("read_events")} loading={backtest.isPending} onClick={() => backtest.mutate()}>{t("rules.backtest")}</Button>
            <Button variant="default" disabled={!ready || !isKnown || !can("read_events")} loading={diff.isPending} onClick={() => diff.mutate()}>{t("rules.diff")}</Button>
          </Group>
          {backtest.isError ? <ErrorNote error={backtest.error} /> : null}
          {diff.isError ? <ErrorNote error={diff.error} /> : null}
          <div aria-live="polite">
            {diff.data ? <Difference answer={diff.data} /> : null}
            {backtest.data ? <WouldFind answer={backtest.data} /> : <p className="quiet">{t("rules.backtestHint")}</p>}
          </div>
        </section>
      </div>
      <ReasonDialog opened={asking !== null} title={asking ? t(`rules.to.${asking}`) : ""} intro={asking ? <p>{t(`rules.toHint.${asking}`)}</p> : null} label={t("rules.reason")}
        act={asking ? t(`rules.to.${asking}`) : ""} busy={move.isPending} onClose={() => setAsking(null)} onGive={(reason) => move.mutate(reason)} />
    </Page>
  );
}
