// A person's own password, changed by whoever knows the old one.
import { Button, Group, Modal, PasswordInput, Stack } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { post, setCsrf } from "../api/client";
import type { Session } from "../api/types";
import { useSpeech } from "../i18n";
import { done } from "../ui/told";
import { ErrorNote } from "../ui/notes";
import { PASSWORD_MIN } from "../pages/SignInPage";

export function PasswordDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useSpeech();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState("");
  const change = useMutation({
    mutationFn: () => post<Session>("/me/password", { current: old, password: fresh }),
    onSuccess: (session) => {
      // All other sessions have ended; this one was renewed, with its token.
      setCsrf(session.csrf);
      done(t("password.changed"), t("action.close"));
      setOld("");
      setFresh("");
      onClose();
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title={t("password.change")} closeButtonProps={{ "aria-label": t("action.close") }}>
      <form onSubmit={(event) => (event.preventDefault(), change.mutate())}>
        <Stack gap="sm">
          <PasswordInput label={t("password.current")} autoComplete="current-password" value={old} required
            onChange={(event) => setOld(event.currentTarget.value)} />
          <PasswordInput label={t("password.new")} description={t("password.rule", { n: PASSWORD_MIN })} minLength={PASSWORD_MIN}
            autoComplete="new-password" value={fresh} required onChange={(event) => setFresh(event.currentTarget.value)} />
          {change.error ? <ErrorNote error={change.error} titles={{ 403: t("password.wrong") }} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>{t("action.cancel")}</Button>
            <Button type="submit" loading={change.isPending}>{t("password.change")}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
