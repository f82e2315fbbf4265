// The state of a page is its address: a reload, a bookmark or a colleague sees the same.
import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

export type UrlState = Record<string, string>;

export function readUrl(search: string): UrlState {
  return Object.fromEntries(new URLSearchParams(search));
}

export function writeUrl(state: UrlState): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) if (value !== "") parameters.set(name, value);
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** The address' parameters, and a way to change some of them; an empty one is taken out. */
export function useUrl(): [UrlState, (change: UrlState, replace?: boolean) => void] {
  const search = useSearch();
  const [place, go] = useLocation();
  const change = useCallback(
    (wanted: UrlState, replace = false) => {
      const next = writeUrl({ ...readUrl(window.location.search), ...wanted });
      go(`${place}${next}`, { replace });
    },
    [place, go],
  );
  return [readUrl(search), change];
}
