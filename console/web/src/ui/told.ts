// Short messages about what was done, or could not be.
import { notifications } from "@mantine/notifications";

export function done(message: string): void {
  notifications.show({ message, color: "teal", autoClose: 4000, withBorder: true });
}

export function failed(title: string, message: string): void {
  notifications.show({ title, message, color: "red", autoClose: 9000, withBorder: true });
}
