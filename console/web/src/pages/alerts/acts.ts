// What is done to alerts: some chosen ones, or all that a filter finds.
import { post } from "../../api/client";
import type { AlertFilter, Verdict } from "../../api/types";

export type Target = { alerts: string[] } | { filter: AlertFilter };

export const acknowledge = (target: Target) => post<{ changed: number }>("/alerts/acknowledge", target);

export const judge = (target: Target, verdict: Verdict, reason: string) =>
  post<{ changed: number }>("/alerts/verdict", { ...target, verdict, reason });

export const openIncident = (title: string, alerts: string[]) => post<{ id: string }>("/incidents", { title, alerts });

export const addToIncident = (incident: string, alerts: string[]) =>
  post<unknown>(`/incidents/${incident}/alerts`, { alerts });

/** What a change of alerts makes old. */
export const STALE = ["alerts", "alert", "overview", "incidents", "incident"];
