// How the live tail is doing: running or paused, what came meanwhile, what was left out.
import { Button } from "@mantine/core";
import { IconPause, IconPlay } from "../../icons";
import { useSpeech } from "../../i18n";
import type { Tail } from "./liveTail";

export function LiveBar({ tail, paused, onPause }: { tail: Tail; paused: boolean; onPause: () => void }) {
  const { t } = useSpeech();
  const state = paused ? "paused" : tail.state;
  return (
    <div className="live-bar" role="status">
      <span className={`live live-${state}`}><span className="live-dot" aria-hidden />{t(`live.${state}`)}</span>
      <Button size="compact-xs" variant="default" onClick={onPause} leftSection={paused ? <IconPlay size={12} /> : <IconPause size={12} />}>
        {t(paused ? "live.resume" : "live.pause")}
      </Button>
      <span className="quiet">{t("live.shown", { n: tail.events.length })}</span>
      {tail.waiting > 0 ? <span className="quiet">{t("live.waiting", { n: tail.waiting })}</span> : null}
      {tail.skipped > 0 ? <span className="chip chip-warn">{t("live.skipped", { n: tail.skipped })}</span> : null}
    </div>
  );
}
