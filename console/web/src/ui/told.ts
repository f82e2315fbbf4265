// Short messages about what was done, or could not be; `close` names the button that takes them away.
import { notifications } from "@mantine/notifications";

export function done(message: string, close: string): void {
  notifications.show({ message, color: "teal", autoClose: 4000, withBorder: true, closeButtonProps: { "aria-label": close } });
}

export function failed(title: string, message: string, close: string): void {
  notifications.show({ title, message, color: "red", autoClose: 9000, withBorder: true, closeButtonProps: { "aria-label": close } });
}
