// The frame around every page: navigation, what is live, language, theme, palette and help.
import { ActionIcon, Drawer, Kbd, Tooltip, UnstyledButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { Link, useLocation } from "wouter";
import { get } from "../api/client";
import type { Overview } from "../api/types";
import { IconHelp, IconMenu, IconSearch, IconWarn } from "../icons";
import { useSpeech } from "../i18n";
import { AsOfBanner, AsOfControl } from "./AsOf";
import { Help } from "./Help";
import { useKeys } from "./keys";
import { LiveBadge } from "./LiveBadge";
import { ALL, DESTINATIONS, isAt } from "./navigation";
import { Palette } from "./Palette";
import { useSigned } from "./session";
import { Ago } from "../ui/parts";
import { LanguageMenu, ThemeMenu, UserMenu, ZoneSwitch } from "./switches";

function Mark() {
  return (
    <Link href="/" className="mark">
      <img src="/mark.svg" alt="" width={22} height={22} />
      <span>Custos</span>
    </Link>
  );
}

function useOverview(): Overview | undefined {
  const { can } = useSigned();
  const overview = useQuery({
    queryKey: ["overview"],
    queryFn: ({ signal }) => get<Overview>("/overview", {}, signal),
    enabled: can("read_alerts"),
    refetchInterval: 30_000,
  });
  return overview.data;
}

/** Across every page while the server takes nothing in. */
function PauseNotice() {
  const { t } = useSpeech();
  const since = useOverview()?.intake_paused_since;
  if (!since) return null;
  return (
    <p className="notice" role="alert">
      <IconWarn size={16} aria-hidden /> {t("notice.paused")} <Ago time={since} />
    </p>
  );
}

/** Numbers beside the pages that wait for somebody. */
function useCounts(): Record<string, { count: number; urgent: boolean }> {
  const data = useOverview();
  if (!data) return {};
  const waiting = data.runs?.waiting ?? 0;
  return {
    "/alerts": { count: data.alerts.open, urgent: false },
    "/incidents": { count: waiting || (data.incidents?.open ?? 0), urgent: waiting > 0 },
    "/effects": { count: data.open_effects ?? 0, urgent: false },
  };
}

function Navigation({ onGo }: { onGo?: () => void }) {
  const { t, n } = useSpeech();
  const { can } = useSigned();
  const [place] = useLocation();
  const counts = useCounts();
  return (
    <nav className="nav" aria-label={t("nav.label")}>
      {DESTINATIONS.map((group) => (
        <div key={group.group} className="nav-group">
          <div className="nav-title">{t(group.group)}</div>
          {group.items.filter((item) => can(item.permission)).map((item) => {
            const count = counts[item.path];
            const here = isAt(item.path, place);
            return (
              <Link key={item.path} href={item.path} className={here ? "nav-item nav-here" : "nav-item"}
                aria-current={here ? "page" : undefined} onClick={onGo}>
                <item.icon size={17} stroke={1.6} aria-hidden />
                <span className="nav-name">{t(item.label)}</span>
                {count && count.count > 0 ? (
                  <span className={count.urgent ? "nav-count nav-urgent" : "nav-count"}>{n(count.count)}</span>
                ) : null}
              </Link>
            );
          })}
        </div>
      ))}
    </nav>
  );
}

export function Frame({ children }: { children: ReactNode }) {
  const { t } = useSpeech();
  const [place, go] = useLocation();
  const [open, setOpen] = useState<"palette" | "help" | "menu" | null>(null);
  const { can } = useSigned();
  const jumps = Object.fromEntries(
    ALL.filter((item) => can(item.permission)).map((item) => [`g ${item.key}`, () => go(item.path)]),
  );
  useKeys({ "?": () => setOpen("help"), ...jumps });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setOpen((was) => (was === "palette" ? null : "palette"));
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const here = ALL.find((item) => isAt(item.path, place));
  useEffect(() => {
    document.title = here ? `${t(here.label)} · Custos` : "Custos";
  }, [here, t]);
  const close = () => setOpen(null);
  return (
    <div className="frame">
      <a className="skip" href="#main">{t("nav.skip")}</a>
      <aside className="side">
        <Mark />
        <Navigation />
      </aside>
      <header className="top">
        <ActionIcon className="narrow-only" aria-label={t("nav.open")} onClick={() => setOpen("menu")}>
          <IconMenu size={18} />
        </ActionIcon>
        <UnstyledButton className="jump" onClick={() => setOpen("palette")}>
          <IconSearch size={14} aria-hidden />
          <span>{t("palette.open")}</span>
          <Kbd size="xs">{/Mac/.test(navigator.platform) ? "⌘ K" : "Ctrl K"}</Kbd>
        </UnstyledButton>
        <div className="top-end">
          <LiveBadge />
          <AsOfControl />
          <ZoneSwitch />
          <LanguageMenu />
          <ThemeMenu />
          <Tooltip label={t("help.open")}>
            <ActionIcon aria-label={t("help.open")} onClick={() => setOpen("help")}><IconHelp size={17} /></ActionIcon>
          </Tooltip>
          <UserMenu />
        </div>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        <PauseNotice />
        <AsOfBanner />
        {children}
      </main>
      <Palette opened={open === "palette"} onClose={close} />
      <Help opened={open === "help"} onClose={close} />
      <Drawer opened={open === "menu"} onClose={close} size={260} title={<Mark />} closeButtonProps={{ "aria-label": t("action.close") }}>
        <Navigation onGo={close} />
      </Drawer>
    </div>
  );
}
