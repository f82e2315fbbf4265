// How a shipper is connected: the ports that are open, and what to copy into each, as the tests have run it.
import { Drawer, Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { get } from "../api/client";
import type { Inlet, ShipperPage, ShippersAnswer } from "../api/types";
import { useSpeech } from "../i18n";
import { ErrorNote, Loading } from "../ui/notes";
import { Chip, Copy } from "../ui/parts";

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
          {inlet.tokens ? <Chip tone="info">{t("connect.tokens")}</Chip> : null}
        </li>
      ))}
    </ul>
  );
}

function Family({ page, open }: { page: ShipperPage; open: Inlet[] }) {
  const { t } = useSpeech();
  return (
    <>
      {page.protocol === "crm" ? <p className="quiet">{t("connect.asked")}</p> : <Open inlets={open.filter((inlet) => inlet.protocol === page.protocol)} />}
      <Block title={t("connect.config")} text={page.config} />
      {page.snippets.map((snippet) => <Block key={snippet.shipper} title={snippet.shipper} text={snippet.text} />)}
    </>
  );
}

export function ConnectDrawer({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useSpeech();
  const answer = useQuery({ queryKey: ["sources", "shippers"], queryFn: ({ signal }) => get<ShippersAnswer>("/sources/shippers", {}, signal), enabled: opened });
  const short = (title: string) => title.split(":")[0] ?? title;
  return (
    <Drawer opened={opened} onClose={onClose} position="right" size="xl" title={t("connect.title")} closeButtonProps={{ "aria-label": t("action.close") }}>
      {answer.isError ? <ErrorNote error={answer.error} retry={() => void answer.refetch()} /> : null}
      {answer.isPending ? <Loading /> : null}
      <p className="quiet">{t("connect.hint")}</p>
      {answer.data ? (
        <Tabs defaultValue={answer.data.pages[0]?.title ?? null} keepMounted={false}>
          <Tabs.List aria-label={t("connect.title")}>{answer.data.pages.map((page) => <Tabs.Tab key={page.title} value={page.title}>{short(page.title)}</Tabs.Tab>)}</Tabs.List>
          {answer.data.pages.map((page) => (
            <Tabs.Panel key={page.title} value={page.title} pt="sm"><Family page={page} open={answer.data.open} /></Tabs.Panel>
          ))}
        </Tabs>
      ) : null}
    </Drawer>
  );
}
