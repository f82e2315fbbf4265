// Set-up with the one-time token, or sign-in. The address stays, so that nothing is lost by an expired session.
import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import type { Session } from "../api/types";
import { LanguageMenu, ThemeMenu } from "../app/switches";
import { fetchSession } from "../app/session";
import { useSpeech } from "../i18n";
import { ErrorNote, Loading } from "../ui/notes";

/** The server's own rule, said before it has to refuse. */
export const PASSWORD_MIN = 15;

/** The one-time token of the link that the server printed; a fragment never reaches logs on the way. */
function linkedToken(): string {
  return new URLSearchParams(window.location.hash.slice(1)).get("setup") ?? "";
}

function useEnter(path: string, body: () => unknown) {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      await post<Session | undefined>(path, body());
      return fetchSession();
    },
    onSuccess: (session) => {
      if (window.location.hash) window.history.replaceState(null, "", window.location.pathname + window.location.search);
      cache.setQueryData(["session"], session);
    },
  });
}

function SetUp() {
  const { t } = useSpeech();
  const [token, setToken] = useState(linkedToken);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const enter = useEnter("/setup", () => ({ token: token.trim(), name: name.trim(), password }));
  const differs = again !== "" && again !== password;
  return (
    <form onSubmit={(event) => (event.preventDefault(), differs || enter.mutate())}>
      <Stack gap="sm">
        <h1>{t("setup.title")}</h1>
        <p className="quiet">{t("setup.intro")}</p>
        <TextInput size="sm" label={t("setup.token")} description={t("setup.tokenHint")} value={token} required autoComplete="off"
          spellCheck={false} onChange={(event) => setToken(event.currentTarget.value)} />
        <TextInput size="sm" label={t("session.name")} description={t("setup.nameHint")} value={name} required autoComplete="username" autoFocus
          spellCheck={false} onChange={(event) => setName(event.currentTarget.value)} />
        <PasswordInput label={t("session.password")} description={t("password.rule", { n: PASSWORD_MIN })} value={password} required
          minLength={PASSWORD_MIN} autoComplete="new-password" onChange={(event) => setPassword(event.currentTarget.value)} />
        <PasswordInput label={t("setup.again")} value={again} required autoComplete="new-password"
          error={differs ? t("setup.differs") : undefined} onChange={(event) => setAgain(event.currentTarget.value)} />
        {enter.error ? <ErrorNote error={enter.error} titles={{ 403: t("setup.wrongToken"), 409: t("setup.done") }} /> : null}
        <Button type="submit" size="sm" loading={enter.isPending}>{t("setup.act")}</Button>
      </Stack>
    </form>
  );
}

function SignIn() {
  const { t } = useSpeech();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const enter = useEnter("/session", () => ({ name: name.trim(), password }));
  return (
    <form onSubmit={(event) => (event.preventDefault(), enter.mutate())}>
      <Stack gap="sm">
        <h1>{t("session.title")}</h1>
        <TextInput size="sm" label={t("session.name")} value={name} required autoComplete="username" autoFocus spellCheck={false}
          onChange={(event) => setName(event.currentTarget.value)} />
        <PasswordInput label={t("session.password")} value={password} required autoComplete="current-password"
          onChange={(event) => setPassword(event.currentTarget.value)} />
        {enter.error ? <ErrorNote error={enter.error} titles={{ 401: t("session.wrong") }} /> : null}
        <Button type="submit" size="sm" loading={enter.isPending}>{t("session.signIn")}</Button>
        <p className="quiet small">{t("session.forgotten")}</p>
      </Stack>
    </form>
  );
}

export function SignInPage() {
  const { t } = useSpeech();
  const setup = useQuery({ queryKey: ["setup"], queryFn: () => get<{ required: boolean }>("/setup") });
  return (
    <div className="door">
      <div className="door-top">
        <LanguageMenu />
        <ThemeMenu />
      </div>
      <main className="door-card">
        <div className="mark door-mark">
          <img src="/mark.svg" alt="" width={28} height={28} />
          <span>Custos</span>
          <span className="quiet small">{t("app.tagline")}</span>
        </div>
        {setup.isPending ? <Loading /> : null}
        {setup.isError ? <ErrorNote error={setup.error} retry={() => void setup.refetch()} /> : null}
        {setup.data ? setup.data.required ? <SetUp /> : <SignIn /> : null}
      </main>
    </div>
  );
}
