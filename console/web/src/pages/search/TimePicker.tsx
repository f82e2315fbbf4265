// Which time is looked at: a span up to now, two instants, or the recent choices; and whether it follows.
import { Button, Popover, SegmentedControl, TextInput, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import { IconClock, IconRefresh } from "../../icons";
import { useSpeech } from "../../i18n";
import { readSetting, writeSetting } from "../../lib/settings";
import { readTyped, relativeParts, relativeSecs, type Range } from "../../lib/time";

const SPANS = ["-5m", "-15m", "-1h", "-4h", "-24h", "-7d", "-30d", ""];
const RECENT_MAX = 5;

function recent(): Range[] {
  try {
    return JSON.parse(readSetting("ranges") ?? "[]") as Range[];
  } catch {
    return [];
  }
}

function remember(range: Range): void {
  if (!range.to && relativeSecs(range.from) !== undefined) return;
  const rest = recent().filter((item) => item.from !== range.from || item.to !== range.to);
  writeSetting("ranges", JSON.stringify([range, ...rest].slice(0, RECENT_MAX)));
}

export function useRangeText(): (range: Range) => string {
  const { t, stamp } = useSpeech();
  const span = (text: string) => {
    const part = relativeParts(text);
    return part ? `${part.value} ${t(`unit.${part.unit}`)}` : text;
  };
  const end = (text: string, empty: string) => {
    if (text === "") return empty;
    if (relativeSecs(text) !== undefined) return t("time.ago", { span: span(text) });
    const { stamp: shown, offset } = stamp(text);
    return `${shown.replace(/\.000$/, "")} ${offset}`;
  };
  return ({ from, to }) => {
    if (!from && !to) return t("time.all");
    if (relativeSecs(from) !== undefined && !to) return t("time.last", { span: span(from) });
    return `${end(from, t("time.beginning"))} – ${end(to, t("time.now"))}`;
  };
}

interface Props {
  range: Range;
  refreshSecs: number;
  onRange: (range: Range) => void;
  onRefreshSecs: (secs: number) => void;
}

function Absolute({ range, onRange }: { range: Range; onRange: (range: Range) => void }) {
  const { t, stamp, zone } = useSpeech();
  const shown = (text: string) => (text === "" || relativeSecs(text) !== undefined ? text : stamp(text).stamp.slice(0, 19));
  const [from, setFrom] = useState(shown(range.from));
  const [to, setTo] = useState(shown(range.to));
  const read = (text: string) => (text.trim() === "" ? "" : readTyped(text, zone));
  const start = read(from);
  const end = read(to);
  const wrong = t("time.wrong");
  const valid = start !== undefined && end !== undefined;
  return (
    <form className="time-form" onSubmit={(event) => {
      event.preventDefault();
      if (start !== undefined && end !== undefined) onRange({ from: start, to: end });
    }}>
      <TextInput label={t("time.from")} value={from} placeholder="2026-11-24 08:00" error={start === undefined ? wrong : undefined}
        onChange={(event) => setFrom(event.currentTarget.value)} />
      <TextInput label={t("time.to")} value={to} placeholder={t("time.now")} error={end === undefined ? wrong : undefined}
        onChange={(event) => setTo(event.currentTarget.value)} />
      <Button type="submit" disabled={!valid} fullWidth>{t("time.apply")}</Button>
    </form>
  );
}

export function TimePicker({ range, refreshSecs, onRange, onRefreshSecs }: Props) {
  const { t } = useSpeech();
  const text = useRangeText();
  const [open, setOpen] = useState(false);
  const choose = (next: Range) => {
    remember(next);
    setOpen(false);
    onRange(next);
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" width={430} shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" className="time-button" leftSection={<IconClock size={14} />} onClick={() => setOpen(!open)}
          aria-label={`${t("time.label")}: ${text(range)}`}
          rightSection={refreshSecs ? <IconRefresh size={13} aria-label={t("time.refreshing")} /> : null}>
          {text(range)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={t("time.label")}>
        <div className="time-grid">
          <div>
            <div className="minor">{t("time.quick")}</div>
            {SPANS.map((from) => (
              <UnstyledButton key={from} className={range.from === from && !range.to ? "time-quick time-here" : "time-quick"}
                onClick={() => choose({ from, to: "" })}>
                {text({ from, to: "" })}
              </UnstyledButton>
            ))}
          </div>
          <div>
            <div className="minor">{t("time.absolute")}</div>
            <Absolute range={range} onRange={choose} />
            {recent().length > 0 ? <div className="minor">{t("time.recent")}</div> : null}
            {recent().map((item) => (
              <UnstyledButton key={item.from + item.to} className="time-quick" onClick={() => choose(item)}>{text(item)}</UnstyledButton>
            ))}
          </div>
        </div>
        <div className="time-refresh">
          <span className="minor" id="refresh-label">{t("time.refresh")}</span>
          <SegmentedControl aria-labelledby="refresh-label" value={String(refreshSecs)} onChange={(value) => onRefreshSecs(Number(value))}
            data={[{ value: "0", label: t("time.off") }, { value: "10", label: "10 s" }, { value: "30", label: "30 s" }, { value: "60", label: "1 min" }]} />
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
