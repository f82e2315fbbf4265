// The command palette: pages, acts, and what was typed as a search.
import { Kbd, Modal, TextInput, useMantineColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { useSpeech } from "../i18n";
import { queryHistory } from "../lib/settings";
import { visible } from "../lib/escape";
import { ALL } from "./navigation";
import { useSigned } from "./session";

interface Command {
  id: string;
  group: string;
  label: string;
  hint?: string;
  run: () => void;
}

function useCommands(text: string): Command[] {
  const { t, language, setLanguage, zone, setZone } = useSpeech();
  const { setColorScheme } = useMantineColorScheme();
  const { can, signOut } = useSigned();
  const [, go] = useLocation();
  const pages = ALL.filter((item) => can(item.permission)).map((item) => ({
    id: item.path, group: t("palette.pages"), label: t(item.label), hint: `g ${item.key}`, run: () => go(item.path),
  }));
  const incident = /^(?:inc-?)?0*(\d+)$/i.exec(text.trim());
  const opens = incident
    ? [{ id: "incident", group: t("palette.pages"), label: t("palette.incident", { id: incidentId(incident[1] ?? "") }),
        run: () => go(`/incidents/${incidentId(incident[1] ?? "")}`) }]
    : [];
  const acts: Command[] = [
    { id: "light", group: t("palette.acts"), label: `${t("switch.theme")}: ${t("theme.light")}`, run: () => setColorScheme("light") },
    { id: "dark", group: t("palette.acts"), label: `${t("switch.theme")}: ${t("theme.dark")}`, run: () => setColorScheme("dark") },
    { id: "language", group: t("palette.acts"), label: language === "en" ? "切换到简体中文" : "Switch to English",
      run: () => setLanguage(language === "en" ? "zh" : "en") },
    { id: "zone", group: t("palette.acts"), label: t(zone === "utc" ? "switch.toLocal" : "switch.toUtc"),
      run: () => setZone(zone === "utc" ? "local" : "utc") },
    { id: "out", group: t("palette.acts"), label: t("session.signOut"), run: () => void signOut() },
  ];
  const wanted = text.trim().toLowerCase();
  const fits = (command: Command) => command.label.toLowerCase().includes(wanted);
  const search = can("read_events") ? searches(text, t("palette.searches"), t("palette.searchFor", { q: visible(text.trim()) }), go) : [];
  return [...opens, ...[...pages, ...acts].filter(fits), ...search];
}

const incidentId = (digits: string) => `INC-${digits.padStart(6, "0")}`;

function searches(text: string, group: string, label: string, go: (to: string) => void): Command[] {
  const to = (query: string) => () => go(`/search?q=${encodeURIComponent(query)}`);
  const typed = text.trim() ? [{ id: "typed", group, label, run: to(text.trim()) }] : [];
  const old = queryHistory().filter((query) => query.includes(text.trim())).slice(0, 5);
  return [...typed, ...old.map((query) => ({ id: `old ${query}`, group, label: visible(query), run: to(query) }))];
}

export function Palette({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useSpeech();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const commands = useCommands(text);
  const groups = useMemo(() => [...new Set(commands.map((command) => command.group))], [commands]);
  const ordered = groups.flatMap((group) => commands.filter((command) => command.group === group));
  const chosen = Math.min(at, ordered.length - 1);
  useEffect(() => {
    if (opened) (setText(""), setAt(0));
  }, [opened]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const run = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKey = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown") (event.preventDefault(), setAt(Math.min(chosen + 1, ordered.length - 1)));
    if (event.key === "ArrowUp") (event.preventDefault(), setAt(Math.max(chosen - 1, 0)));
    if (event.key === "Enter" && !event.nativeEvent.isComposing) (event.preventDefault(), run(ordered[chosen]));
  };
  return (
    <Modal opened={opened} onClose={onClose} withCloseButton={false} size="lg" padding={0} yOffset="12vh"
      aria-label={t("palette.open")}>
      <TextInput value={text} onChange={(event) => (setText(event.currentTarget.value), setAt(0))} onKeyDown={onKey}
        placeholder={t("palette.placeholder")} aria-label={t("palette.placeholder")} variant="unstyled" size="md" px="md" py={6}
        role="combobox" aria-expanded aria-controls="palette-list" aria-activedescendant={`palette-${chosen}`} data-autofocus />
      <div className="palette" id="palette-list" role="listbox" aria-label={t("palette.open")} ref={list}>
        {ordered.map((command, index) => (
          <div key={command.id} id={`palette-${index}`} role="option" aria-selected={index === chosen} className="palette-item"
            onClick={() => run(command)} onMouseMove={() => setAt(index)}>
            <span className="palette-group">{command.group}</span>
            <span className="palette-label">{command.label}</span>
            {command.hint ? <span>{command.hint.split(" ").map((key) => <Kbd key={key} size="xs" ml={3}>{key}</Kbd>)}</span> : null}
          </div>
        ))}
        {ordered.length === 0 ? <p className="quiet pad">{t("palette.none")}</p> : null}
      </div>
    </Modal>
  );
}
