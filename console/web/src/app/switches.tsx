// Language, theme, zone and the signed-in person: what each person sets for themselves.
import { ActionIcon, Menu, Tooltip, UnstyledButton, useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { useState } from "react";
import { IconCheck, IconKey, IconLanguage, IconMoon, IconSignOut, IconSun, IconSystem, IconUser } from "../icons";
import { useSpeech, type Language } from "../i18n";
import { offsetText } from "../lib/time";
import { PasswordDialog } from "./PasswordDialog";
import { useSigned } from "./session";

const NAMES: Record<Language, string> = { en: "English", zh: "简体中文" };

export function LanguageMenu() {
  const { t, language, setLanguage } = useSpeech();
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon aria-label={t("switch.language")} title={t("switch.language")}><IconLanguage size={17} /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(Object.keys(NAMES) as Language[]).map((code) => (
          <Menu.Item key={code} lang={code} onClick={() => setLanguage(code)}
            rightSection={code === language ? <IconCheck size={14} aria-label={t("switch.chosen")} /> : null}>
            {NAMES[code]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

const SCHEMES: { scheme: MantineColorScheme; icon: typeof IconSun }[] = [
  { scheme: "light", icon: IconSun },
  { scheme: "dark", icon: IconMoon },
  { scheme: "auto", icon: IconSystem },
];

export function ThemeMenu() {
  const { t } = useSpeech();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const Icon = SCHEMES.find((item) => item.scheme === colorScheme)?.icon ?? IconSun;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon aria-label={t("switch.theme")} title={t("switch.theme")}><Icon size={17} /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {SCHEMES.map((item) => (
          <Menu.Item key={item.scheme} leftSection={<item.icon size={15} />} onClick={() => setColorScheme(item.scheme)}
            rightSection={item.scheme === colorScheme ? <IconCheck size={14} aria-label={t("switch.chosen")} /> : null}>
            {t(`theme.${item.scheme}`)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

export function ZoneSwitch() {
  const { t, zone, setZone } = useSpeech();
  const label = zone === "utc" ? "UTC" : offsetText(new Date(), "local");
  return (
    <Tooltip label={t(zone === "utc" ? "switch.toLocal" : "switch.toUtc")}>
      <UnstyledButton className="zone" onClick={() => setZone(zone === "utc" ? "local" : "utc")}
        aria-label={`${t("switch.zone")}: ${label}`}>
        {label}
      </UnstyledButton>
    </Tooltip>
  );
}

export function UserMenu() {
  const { t, term } = useSpeech();
  const { session, signOut } = useSigned();
  const [changing, setChanging] = useState(false);
  return (
    <>
      <Menu position="bottom-end" width={240}>
        <Menu.Target>
          <UnstyledButton className="user" aria-label={`${t("switch.user")}: ${session.user.name}`}>
            <IconUser size={16} aria-hidden />
            <span className="user-name">{session.user.name}</span>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{session.user.roles.map((role) => term("role", role)).join(" · ")}</Menu.Label>
          <Menu.Item leftSection={<IconKey size={15} />} onClick={() => setChanging(true)}>{t("password.change")}</Menu.Item>
          <Menu.Item leftSection={<IconSignOut size={15} />} onClick={() => void signOut()}>{t("session.signOut")}</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <PasswordDialog opened={changing} onClose={() => setChanging(false)} />
    </>
  );
}
