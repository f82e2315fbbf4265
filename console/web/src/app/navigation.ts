// The pages: where they are, what opens them, and who may.
import { IconAlert, IconBackup, IconCustomer, IconEffect, IconIncident, IconOverview, IconPrivacy, IconRetention, IconRule, IconSearch, IconShield, IconSource } from "../icons";
import type { Key } from "../i18n";
import type { Permission } from "./session";

export interface Destination {
  path: string;
  label: Key;
  icon: typeof IconAlert;
  permission: Permission;
  /** Pressed after `g`. */
  key: string;
}

export const DESTINATIONS: { group: Key; items: Destination[] }[] = [
  {
    group: "nav.group.watch",
    items: [
      { path: "/", label: "nav.overview", icon: IconOverview, permission: "read_alerts", key: "o" },
      { path: "/alerts", label: "nav.alerts", icon: IconAlert, permission: "read_alerts", key: "a" },
      { path: "/search", label: "nav.search", icon: IconSearch, permission: "read_events", key: "s" },
    ],
  },
  {
    group: "nav.group.respond",
    items: [
      { path: "/incidents", label: "nav.incidents", icon: IconIncident, permission: "read_alerts", key: "i" },
      { path: "/effects", label: "nav.effects", icon: IconEffect, permission: "read_alerts", key: "e" },
      { path: "/customers", label: "nav.customers", icon: IconCustomer, permission: "read_events", key: "c" },
    ],
  },
  {
    group: "nav.group.feed",
    items: [
      { path: "/sources", label: "nav.sources", icon: IconSource, permission: "read_sources", key: "d" },
      { path: "/rules", label: "nav.rules", icon: IconRule, permission: "read_alerts", key: "r" },
    ],
  },
  {
    group: "nav.group.admin",
    items: [
      { path: "/integrity", label: "nav.integrity", icon: IconShield, permission: "read_audit", key: "v" },
      { path: "/backups", label: "nav.backups", icon: IconBackup, permission: "read_audit", key: "b" },
      { path: "/retention", label: "nav.retention", icon: IconRetention, permission: "read_events", key: "t" },
      { path: "/privacy", label: "nav.privacy", icon: IconPrivacy, permission: "erase", key: "p" },
    ],
  },
];

export const ALL = DESTINATIONS.flatMap((group) => group.items);

export function isAt(path: string, place: string): boolean {
  return path === "/" ? place === "/" : place === path || place.startsWith(`${path}/`);
}
