// Whether what is on the screen keeps itself current.
import { Tooltip } from "@mantine/core";
import { useSpeech } from "../i18n";
import { useLiveState } from "./live";

export function LiveBadge() {
  const { t } = useSpeech();
  const state = useLiveState();
  return (
    <Tooltip label={t(`live.${state}Hint`)} multiline w={260}>
      <span className={`live live-${state}`} role="status" tabIndex={0}>
        <span className="live-dot" aria-hidden />
        <span className="live-text">{t(`live.${state}`)}</span>
      </span>
    </Tooltip>
  );
}
