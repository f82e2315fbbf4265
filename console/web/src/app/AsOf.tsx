// Time travel: every page as it was known at a moment. The moment stands in the address; while it is set nothing can be changed.
import { ActionIcon, Button, Popover, Stack, TextInput, Tooltip } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useState, type ReactNode } from "react";
import { useLocation, useSearch } from "wouter";
import { setAsOf } from "../api/client";
import { IconPast } from "../icons";
import { useSpeech } from "../i18n";
import { readUrl, writeUrl } from "../lib/url";
import { Stamp } from "../ui/parts";

interface Travel {
  /** RFC 3339 or a commit's number; empty: now. */
  asOf: string;
  see: (asOf: string) => void;
}

const Context = createContext<Travel>({ asOf: "", see: () => {} });

export function useAsOf(): Travel {
  return useContext(Context);
}

export function AsOfProvider({ children }: { children: ReactNode }) {
  const cache = useQueryClient();
  const search = useSearch();
  const [place, go] = useLocation();
  const [asOf, setMoment] = useState(() => readUrl(window.location.search).as_of ?? "");
  // Before any page asks: a first answer of now would be shown as one of then.
  setAsOf(asOf);
  const see = useCallback(
    (wanted: string) => {
      setAsOf(wanted);
      setMoment(wanted);
      go(`${window.location.pathname}${writeUrl({ ...readUrl(window.location.search), as_of: wanted })}${window.location.hash}`);
      void cache.resetQueries({ predicate: (query) => query.queryKey[0] !== "session" });
    },
    [cache, go],
  );
  useEffect(() => {
    // Links within the console do not know of the moment: it stays until somebody ends it.
    const state = readUrl(search);
    if (asOf && state.as_of !== asOf) go(`${place}${writeUrl({ ...state, as_of: asOf })}${window.location.hash}`, { replace: true });
  }, [asOf, search, place, go]);
  return <Context.Provider value={{ asOf, see }}>{children}</Context.Provider>;
}

/** What an input of local time says, as the server reads it. */
function toTime(local: string): string {
  const date = new Date(local);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

function toLocal(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

const STEPS = [5, 15, 60, 24 * 60];

export function AsOfControl() {
  const { t } = useSpeech();
  const { asOf, see } = useAsOf();
  const [opened, setOpened] = useState(false);
  const [local, setLocal] = useState("");
  const open = () => {
    const at = asOf && asOf.includes("T") ? new Date(asOf) : new Date();
    setLocal(toLocal(at));
    setOpened(true);
  };
  const give = (time: string) => {
    if (!time) return;
    see(time);
    setOpened(false);
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" withArrow trapFocus>
      <Popover.Target>
        <Tooltip label={t("past.open")}>
          <ActionIcon aria-label={t("past.open")} variant={asOf ? "filled" : "subtle"} color={asOf ? "orange" : undefined}
            onClick={() => (opened ? setOpened(false) : open())}><IconPast size={17} /></ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown>
        <form onSubmit={(event) => (event.preventDefault(), give(toTime(local)))}>
          <Stack gap="xs">
            <TextInput type="datetime-local" step={1} label={t("past.when")} value={local} max={toLocal(new Date())}
              onChange={(event) => setLocal(event.currentTarget.value)} data-autofocus />
            <div className="past-steps">
              {STEPS.map((minutes) => (
                <Button key={minutes} size="compact-xs" variant="default"
                  onClick={() => give(new Date(Date.now() - minutes * 60_000).toISOString())}>
                  {minutes < 60 ? t("past.minutes", { n: minutes }) : t("past.hours", { n: minutes / 60 })}
                </Button>
              ))}
            </div>
            <Button type="submit" size="xs" disabled={toTime(local) === ""}>{t("past.see")}</Button>
            {asOf ? <Button size="xs" variant="default" onClick={() => (see(""), setOpened(false))}>{t("past.end")}</Button> : null}
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}

export function AsOfBanner() {
  const { t } = useSpeech();
  const { asOf, see } = useAsOf();
  if (!asOf) return null;
  return (
    <div className="past-banner" role="status">
      <IconPast size={16} aria-hidden />
      <span>{t("past.seeing")} <strong>{asOf.includes("T") ? <Stamp time={asOf} /> : t("past.commit", { n: asOf })}</strong> {t("past.known")}</span>
      <Button size="compact-xs" variant="default" onClick={() => see("")}>{t("past.end")}</Button>
    </div>
  );
}
