// Who is signed in, and what they may do.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, type ReactNode } from "react";
import { get, Problem, remove, setCsrf, whenSignedOut } from "../api/client";
import type { Session } from "../api/types";

export type Permission =
  | "read_events" | "read_alerts" | "triage" | "respond" | "approve"
  | "manage_rules" | "manage_users" | "manage_backups" | "manage_sources" | "preserve" | "erase" | "reveal" | "read_audit" | "read_sources";

interface Signed {
  session: Session;
  can: (permission: Permission) => boolean;
  signOut: () => Promise<void>;
}

const Context = createContext<Signed | null>(null);

export async function fetchSession(): Promise<Session | null> {
  try {
    const session = await get<Session>("/session");
    setCsrf(session.csrf);
    return session;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

export function useSessionQuery() {
  const cache = useQueryClient();
  const query = useQuery({ queryKey: ["session"], queryFn: fetchSession, staleTime: 60_000 });
  useEffect(() => {
    // The page stays where it is: after signing in again nothing is lost.
    whenSignedOut(() => cache.setQueryData(["session"], null));
  }, [cache]);
  return query;
}

export function SignedProvider({ session, children }: { session: Session; children: ReactNode }) {
  const cache = useQueryClient();
  const value: Signed = {
    session,
    can: (permission) => session.user.permissions.includes(permission),
    signOut: async () => {
      await remove("/session").catch(() => {});
      cache.clear();
      cache.setQueryData(["session"], null);
    },
  };
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useSigned(): Signed {
  const value = useContext(Context);
  if (!value) throw new Error("useSigned outside SignedProvider");
  return value;
}
