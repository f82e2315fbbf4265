// Asks for a reason before an act that a later reader must understand.
import { Button, Group, Modal, Stack, Textarea } from "@mantine/core";
import { useEffect, useState, type ReactNode } from "react";
import { useSpeech } from "../i18n";
import { ErrorNote } from "./notes";

interface Props {
  opened: boolean;
  title: string;
  intro?: ReactNode;
  /** What is asked; without it only a yes is. */
  label?: string;
  act: string;
  color?: string;
  required?: boolean;
  busy?: boolean;
  error?: unknown;
  suggestions?: string[];
  onClose: () => void;
  onGive: (reason: string) => void;
}

export function ReasonDialog(props: Props) {
  const { t } = useSpeech();
  const [reason, setReason] = useState("");
  useEffect(() => {
    if (props.opened) setReason("");
  }, [props.opened]);
  const missing = props.label !== undefined && props.required !== false && reason.trim() === "";
  const give = () => {
    if (!missing && !props.busy) props.onGive(reason.trim());
  };
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={props.title} closeButtonProps={{ "aria-label": t("action.close") }}>
      <form onSubmit={(event) => (event.preventDefault(), give())}>
        <Stack gap="sm">
          {props.intro}
          {props.label === undefined ? null : <Textarea label={props.label} value={reason} onChange={(event) => setReason(event.currentTarget.value)} autosize minRows={2}
            maxLength={2000} required={props.required !== false} data-autofocus
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), give());
            }} />}
          {props.suggestions?.length ? (
            <Group gap={6}>
              {props.suggestions.map((text) => (
                <Button key={text} size="compact-xs" variant="default" onClick={() => setReason(text)}>{text}</Button>
              ))}
            </Group>
          ) : null}
          {props.error ? <ErrorNote error={props.error} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={props.onClose}>{t("action.cancel")}</Button>
            <Button type="submit" color={props.color} loading={props.busy} disabled={missing}>{props.act}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
