// What the queue shows: status, severity, words, one rule or entity; and how many this hides.
import { Button, MultiSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { IconClose, IconSearch } from "../../icons";
import { useSpeech } from "../../i18n";
import { visible } from "../../lib/escape";
import type { UrlState } from "../../lib/url";

const STATUSES = ["open", "acknowledged", "closed", "all"] as const;
export const LEVELS = ["critical", "high", "medium", "low", "informational"] as const;

interface Props {
  url: UrlState;
  total: number | undefined;
  hidden: number | undefined;
  onChange: (change: UrlState) => void;
}

export function Filters({ url, total, hidden, onChange }: Props) {
  const { t, term, n } = useSpeech();
  const [text, setText] = useState(url.q ?? "");
  useEffect(() => setText(url.q ?? ""), [url.q]);
  const narrowed = ["rule", "entity"].filter((name) => url[name]);
  return (
    <div className="filters">
      <SegmentedControl aria-label={t("alerts.status")} value={url.status ?? "open"} onChange={(status) => onChange({ status })}
        data={STATUSES.map((value) => ({ value, label: term("alertStatus", value) }))} />
      <MultiSelect className="filter-levels" size="xs" aria-label={t("alerts.level")} placeholder={url.level ? undefined : t("alerts.anyLevel")} clearable
        value={url.level ? url.level.split(",") : []} onChange={(levels) => onChange({ level: levels.join(",") })}
        data={LEVELS.map((value) => ({ value, label: term("level", value) }))} />
      <form className="filter-text" role="search" onSubmit={(event) => (event.preventDefault(), onChange({ q: text.trim() }))}>
        <TextInput id="alerts-filter" value={text} onChange={(event) => setText(event.currentTarget.value)} placeholder={t("alerts.filter")} aria-label={t("alerts.filter")}
          leftSection={<IconSearch size={13} aria-hidden />} onBlur={() => text.trim() !== (url.q ?? "") && onChange({ q: text.trim() })} />
      </form>
      <SegmentedControl aria-label={t("alerts.groupBy")} value={url.group ?? ""} onChange={(group) => onChange({ group, rule: "", entity: "" })}
        data={[{ value: "", label: t("alerts.noGroup") }, { value: "rule", label: t("alerts.byRule") }, { value: "entity", label: t("alerts.byEntity") }]} />
      {narrowed.map((name) => (
        <Button key={name} size="compact-xs" variant="light" rightSection={<IconClose size={12} />} onClick={() => onChange({ [name]: "", group: name })}>
          {t(name === "rule" ? "alert.rule" : "entity.one")}: {visible(url[name] ?? "")}
        </Button>
      ))}
      <span className="filter-count" aria-live="polite">
        {total === undefined ? null : <><strong>{n(total)}</strong> {t("alerts.shown", { n: total })}</>}
        {hidden ? <> · <button type="button" className="as-link" onClick={() => onChange({ status: "all", level: "", q: "", rule: "", entity: "" })}>{t("alerts.hidden", { n: hidden })}</button></> : null}
      </span>
    </div>
  );
}
