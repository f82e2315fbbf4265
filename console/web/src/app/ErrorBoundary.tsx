// A fault in one page leaves the frame standing, and says so.
import { Button } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { useLocation } from "wouter";
import { useSpeech } from "../i18n";
import { Empty } from "../ui/notes";

interface Props {
  children: ReactNode;
  place: string;
  fallback: ReactNode;
}

class Boundary extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override componentDidUpdate(before: Props) {
    if (before.place !== this.props.place && this.state.failed) this.setState({ failed: false });
  }

  override render() {
    return this.state.failed ? this.props.fallback : this.props.children;
  }
}

export function ErrorBoundary({ children }: { children: ReactNode }) {
  const { t } = useSpeech();
  const [place] = useLocation();
  const reload = <Button onClick={() => window.location.reload()}>{t("action.reload")}</Button>;
  return (
    <Boundary place={place} fallback={<Empty title={t("error.page")} hint={t("error.pageHint")} action={reload} />}>
      {children}
    </Boundary>
  );
}
