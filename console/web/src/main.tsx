// The start: the page's nonce for style elements, the theme before the first paint, then the application.
import { MantineProvider } from "@mantine/core";
import "@mantine/core/styles.css";
import { Notifications } from "@mantine/notifications";
import "@mantine/notifications/styles.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { setNonce } from "get-nonce";
import { createRoot } from "react-dom/client";
import { client } from "./api/cache";
import { App } from "./app/App";
import { SpeechProvider } from "./i18n";
import { nonce } from "./lib/nonce";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/search.css";
import "./styles/respond.css";
import { theme } from "./theme";

setNonce(nonce());

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={nonce}>
      <QueryClientProvider client={client}>
        <SpeechProvider>
          <Notifications position="bottom-right" limit={4} />
          <App />
        </SpeechProvider>
      </QueryClientProvider>
    </MantineProvider>,
  );
}
