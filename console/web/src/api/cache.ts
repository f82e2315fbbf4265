// The one cache of answers, and when it asks again.
import { QueryClient } from "@tanstack/react-query";
import { Problem } from "./client";

/** A refusal will be the same again; a server that is away may come back. */
function again(count: number, error: Error): boolean {
  return error instanceof Problem && (error.offline || error.status >= 502) && count < 4;
}

export const client = new QueryClient({
  defaultOptions: {
    queries: { retry: again, staleTime: 5_000, refetchOnWindowFocus: true, networkMode: "always" },
    mutations: { networkMode: "always" },
  },
});
