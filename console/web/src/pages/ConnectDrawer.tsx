// How a shipper is connected: the ports that are open, and what to copy into each, as the tests have run it.
import { Drawer, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "../api/client";
import { useState } from "react";
import type { Inlet, IssuedToken, ShipperPage, ShippersAnswer } from "../api/types";
import { useSpeech } from "../i18n";
import { ErrorNote, Loading } from "../ui/notes";
import { Chip, Copy } from "../ui/parts";
import { Issued, MakeSource } from "./MadeSources";

function Block({ title, text }: { title: string; text: string }) {
  return (
    <section className="snippet">
      <div className="line"><h3>{title}</h3><Copy text={text} /></div>
      <pre className="raw" tabIndex={0}>{text}</pre>
    </section>
  );
}

function Open({ inlets }: { inlets: Inlet[] }) {
  const { t } = useSpeech();
  if (inlets.length === 0) return <p className="quiet">{t("connect.closed")}</p>;
  return (
    <ul className="inlets">
      {inlets.map((inlet) => (
        <li key={inlet.address + inlet.transport} className="line">
          <span className="strong">{inlet.source}</span><code>{inlet.address}</code><Chip>{inlet.transport.toUpperCase()}</Chip>
          {inlet.tokens ? <Chip tone="info">{t(inlet.protocol === "kafka" ? "connect.login" : "connect.tokens")}</Chip> : null}
        </li>
      ))}
    </ul>
  );
}

/** A block with the address of the open port in it, and the real token, where they are known. */
function filled(text: string, page: ShipperPage, port: Inlet | undefined, issued: IssuedToken | undefined) {
  const meant = /listen = "([^"]+):(\d+)"/.exec(page.config);
  const given = /^(.+):(\d+)$/.exec(port?.address ?? "");
  // A port that is open to all is reached as this page is.
  const host = /^(0\.0\.0\.0|\[::\])$/.test(given?.[1] ?? "") ? location.hostname : (given?.[1] ?? "");
  const there = meant && given ? text.replaceAll(meant[1] ?? "", host).replace(new RegExp(`\\b${meant[2] ?? ""}\\b`, "g"), given[2] ?? "") : text;
  return issued === undefined ? there : there.replace(/(?<![A-Z-])TOKEN(?![A-Z-])/g, issued.token);
}

function Family({ page, open }: { page: ShipperPage; open: Inlet[] }) {
  const { t } = useSpeech();
  const [issued, setIssued] = useState<IssuedToken>();
  const ports = open.filter((inlet) => inlet.protocol === page.protocol);
  // Webhooks have secrets of their own in the configuration.
  const makes = page.protocol === "http" && ports.length > 0 && !page.config.includes("webhooks");
  return (
    <>
      {page.protocol === "crm" ? <p className="quiet">{t("connect.asked")}</p> : <Open inlets={ports} />}
      {makes ? <MakeSource onIssued={setIssued} /> : null}
      {issued ? <Issued issued={issued} /> : null}
      {makes && issued ? null : <Block title={t("connect.config")} text={page.config} />}
      {page.snippets.map((snippet) => <Block key={snippet.shipper} title={snippet.shipper} text={filled(snippet.text, page, makes ? ports[0] : undefined, issued)} />)}
    </>
  );
}

export function ConnectDrawer({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t, term } = useSpeech();
  const answer = useQuery({ queryKey: ["sources", "shippers"], queryFn: ({ signal }) => get<ShippersAnswer>("/sources/shippers", {}, signal), enabled: opened });
  const short = (title: string) => term("shipperPage", title.split(":")[0] ?? title);
  return (
    <Drawer opened={opened} onClose={onClose} position="right" size="xl" title={t("connect.title")} closeButtonProps={{ "aria-label": t("action.close") }}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      <p className="quiet">{t("connect.hint")}</p>
      {answer.data ? (
        // A value becomes part of an id, which has no spaces.
        <Tabs defaultValue="0" keepMounted={false}>
          <Tabs.List aria-label={t("connect.title")}>{answer.data.pages.map((page, nth) => <Tabs.Tab key={page.title} value={String(nth)}>{short(page.title)}</Tabs.Tab>)}</Tabs.List>
          {answer.data.pages.map((page, nth) => (
            <Tabs.Panel key={page.title} value={String(nth)} pt="sm"><Family page={page} open={answer.data.open} /></Tabs.Panel>
          ))}
        </Tabs>
      ) : null}
    </Drawer>
  );
}
