// The chosen language and zone, and everything that is said or formatted by them.
import { createContext, useContext, useEffect, useMemo, type ReactNode } from "react";
import { useSetting } from "../lib/settings";
import { spanParts, stampText, type Zone } from "../lib/time";
import { en } from "./en";
import { fill, LOCALES, number, preferred, type Language, type Values } from "./translate";
import { zh } from "./zh";

export type Key = keyof typeof en;
export type { Language };

const catalogues: Record<Language, Record<Key, string>> = { en, zh };

export interface Speech {
  language: Language;
  zone: Zone;
  setLanguage: (language: Language) => void;
  setZone: (zone: Zone) => void;
  t: (key: Key, values?: Values) => string;
  /** The text of a key that is put together from data; the data itself where there is none. */
  term: (prefix: string, name: string | undefined | null) => string;
  /** What a rule, a step, an incident is called: in Chinese where somebody wrote it so. */
  titled: (thing: Titled, otherwise?: string) => string;
  n: (value: number) => string;
  stamp: (time: string) => { stamp: string; offset: string };
  /** Localised date and time of day, for prose. */
  date: (time: string) => string;
  ago: (time: string, now?: number) => string;
  span: (secs: number) => string;
}

export interface Titled {
  title: string;
  title_zh?: string;
}

const Context = createContext<Speech | null>(null);

function agoText(language: Language, time: string, now: number): string {
  const secs = (Date.parse(time) - now) / 1000;
  if (Number.isNaN(secs)) return time;
  const format = new Intl.RelativeTimeFormat(LOCALES[language], { numeric: "auto", style: "short" });
  const size = Math.abs(secs);
  if (size < 60) return format.format(Math.round(secs), "second");
  if (size < 3600) return format.format(Math.round(secs / 60), "minute");
  if (size < 86_400) return format.format(Math.round(secs / 3600), "hour");
  return format.format(Math.round(secs / 86_400), "day");
}

function speech(language: Language, zone: Zone): Omit<Speech, "setLanguage" | "setZone"> {
  const catalogue = catalogues[language];
  const t = (key: Key, values?: Values) => fill(language, catalogue[key], values);
  const dates = new Intl.DateTimeFormat(LOCALES[language], {
    dateStyle: "medium",
    timeStyle: "medium",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  });
  return {
    language,
    zone,
    t,
    term: (prefix, name) => {
      const key = `${prefix}.${name ?? ""}`;
      return key in catalogue ? t(key as Key) : (name ?? "");
    },
    titled: (thing, otherwise = "") => (language === "zh" && thing.title_zh ? thing.title_zh : thing.title || otherwise),
    n: (value) => number(language, value),
    stamp: (time) => stampText(time, zone),
    date: (time) => (Number.isNaN(Date.parse(time)) ? time : dates.format(new Date(time))),
    ago: (time, now = Date.now()) => agoText(language, time, now),
    span: (secs) => spanParts(secs).map((part) => `${part.value} ${catalogue[`unit.${part.unit}`]}`).join(" "),
  };
}

export function SpeechProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useSetting<Language>("language", preferred(navigator.languages));
  const [zone, setZone] = useSetting<Zone>("zone", "local");
  const value = useMemo(
    () => ({ ...speech(language === "zh" ? "zh" : "en", zone === "utc" ? "utc" : "local"), setLanguage, setZone }),
    // The setters only write to storage; they are the same whichever render made them.
    [language, zone],
  );
  useEffect(() => {
    document.documentElement.lang = LOCALES[value.language];
  }, [value.language]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useSpeech(): Speech {
  const value = useContext(Context);
  if (!value) throw new Error("useSpeech outside SpeechProvider");
  return value;
}
