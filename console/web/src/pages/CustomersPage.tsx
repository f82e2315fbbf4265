// Customers: who an id of our events is, as the customer system has them. Values are sealed; reading them takes a reason, which is written down.
import { Button, Group, PasswordInput, Select, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { Link } from "wouter";
import { get, post } from "../api/client";
import type { Position } from "../api/types";
import { useSigned } from "../app/session";
import { useSpeech } from "../i18n";
import { placeOf } from "../lib/events";
import { condition } from "../lib/query";
import { Empty, ErrorNote, Loading } from "../ui/notes";
import { Ago, Chip, Outside, Page, Stamp } from "../ui/parts";
import { ReasonDialog } from "../ui/ReasonDialog";
import { useAct } from "../ui/useAct";

interface Customer {
  id: string;
  source: string;
  system: string;
  object: string;
  record: string;
  owner?: string;
  modified: string;
  deleted: boolean;
  name?: string;
  email?: string;
  phone?: string;
  readable: boolean;
  position: Position;
}

interface RegisterSource {
  source: string;
  customers: number;
  exact: boolean;
  states: number;
  read_up_to?: string;
  trouble?: string;
}

interface CustomersAnswer {
  customers: Customer[];
  sources: RegisterSource[];
}

type By = "id" | "email" | "phone";
type Clear = Partial<Record<"name" | "email" | "phone", string>>;
const VALUES = ["name", "email", "phone"] as const;
const CONNECT = '[[crm]]\nname = "zoho"\nkind = "zoho"\n# …\ncontacts = { every = "1h" }';

function Ask({ busy, onAsk }: { busy: boolean; onAsk: (by: By, value: string) => void }) {
  const { t } = useSpeech();
  const [by, setBy] = useState<By>("id");
  const [value, setValue] = useState("");
  const ask = (event: FormEvent) => (event.preventDefault(), value.trim() ? onAsk(by, value.trim()) : undefined);
  const shared = { label: t("customers.value"), value, required: true, maxLength: 500, autoComplete: "off" } as const;
  return (
    <form className="card privacy-ask" onSubmit={ask}>
      <Stack gap="sm">
        <h2>{t("customers.ask")}</h2>
        <Select label={t("customers.by")} value={by} allowDeselect={false} onChange={(chosen) => (setBy((chosen ?? "id") as By), setValue(""))}
          data={(["id", "email", "phone"] as const).map((name) => ({ value: name, label: t(`customers.${name}`) }))} />
        {by === "id"
          ? <TextInput {...shared} description={t("customers.idHint")} onChange={(event) => setValue(event.currentTarget.value)} />
          : <PasswordInput {...shared} description={t("customers.wholeHint")} onChange={(event) => setValue(event.currentTarget.value)} />}
        <Group><Button type="submit" loading={busy} disabled={!value.trim()}>{t("customers.askAct")}</Button></Group>
      </Stack>
    </form>
  );
}

/** What a value is: sealed, read in clear, or not there. */
function Value({ sealed, clear, readable }: { sealed: string | undefined; clear: string | undefined; readable: boolean }) {
  const { t } = useSpeech();
  if (clear !== undefined) return <Outside text={clear} />;
  if (!sealed) return <span className="quiet">{t("customers.noValue")}</span>;
  return readable ? <Chip>{t("customers.sealed")}</Chip> : <Chip tone="warn">{t("customers.erased")}</Chip>;
}

function Reveal({ customer, onClear }: { customer: Customer; onClear: (clear: Clear) => void }) {
  const { t } = useSpeech();
  const { can } = useSigned();
  const [asking, setAsking] = useState(false);
  const reveal = useAct({
    act: (reason: string) => post<{ fields: { field: string; value?: string }[] }>(`/events/${placeOf(customer.position)}/reveal`, { reason }),
    stale: [],
    then: (out) => {
      const of = (name: string) => out.fields.find((one) => one.field === `custos.crm_event.customer.${name}`)?.value;
      const read = VALUES.map((name) => [name, of(name)] as const).filter(([, value]) => value !== undefined);
      onClear(Object.fromEntries(read) as Clear);
      setAsking(false);
    },
  });
  if (!can("reveal") || !customer.readable) return null;
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={() => setAsking(true)}>{t("customers.reveal")}</Button>
      <ReasonDialog opened={asking} title={t("customers.reveal")} label={t("privacy.reason")} act={t("customers.revealAct")} busy={reveal.isPending}
        intro={<p>{t("customers.revealIntro")}</p>} onClose={() => setAsking(false)} onGive={(reason) => reveal.mutate(reason)} />
    </>
  );
}

function Card({ customer }: { customer: Customer }) {
  const { t } = useSpeech();
  const [clear, setClear] = useState<Clear>({});
  const events = `${condition("user.id", customer.id)} or ${condition("custos.crm_event.customer.id", customer.id)}`;
  return (
    <section className="card customer">
      <Group justify="space-between">
        <h2 className="mono"><Outside text={customer.id} /></h2>
        {customer.deleted ? <Chip tone="warn">{t("customers.deleted")}</Chip> : null}
      </Group>
      <dl className="facts">
        {VALUES.map((name) => (
          <div key={name}><dt>{t(`customers.${name}`)}</dt><dd><Value sealed={customer[name]} clear={clear[name]} readable={customer.readable} /></dd></div>
        ))}
        <div><dt>{t("customers.system")}</dt><dd>{customer.source} · <Outside text={`${customer.object} ${customer.record}`} /></dd></div>
        {customer.owner ? <div><dt>{t("customers.owner")}</dt><dd className="mono"><Outside text={customer.owner} /></dd></div> : null}
        <div><dt>{t("customers.modified")}</dt><dd><Stamp time={customer.modified} /></dd></div>
      </dl>
      <Group gap={10}>
        <Reveal customer={customer} onClear={setClear} />
        <Link href={`/search?q=${encodeURIComponent(events)}`}>{t("customers.events")}</Link>
      </Group>
    </section>
  );
}

function Known({ sources }: { sources: RegisterSource[] }) {
  const { t, n } = useSpeech();
  return (
    <div className="card">
      <table className="table">
        <thead><tr><th>{t("customers.source")}</th><th>{t("customers.known")}</th><th>{t("customers.states")}</th><th>{t("customers.upTo")}</th></tr></thead>
        <tbody>
          {sources.map((one) => (
            <tr key={one.source}>
              <td className="mono">{one.source}</td>
              <td>{one.exact ? n(one.customers) : t("customers.atLeast", { n: n(one.customers) })}</td>
              <td>{n(one.states)}</td>
              <td>{one.read_up_to ? <Ago time={one.read_up_to} /> : "–"} {one.trouble ? <><Chip tone="bad">{t("customers.trouble")}</Chip> <Outside text={one.trouble} /></> : null}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function CustomersPage() {
  const { t } = useSpeech();
  const register = useQuery({
    queryKey: ["customers"],
    queryFn: ({ signal }) => get<CustomersAnswer>("/customers", {}, signal),
    refetchInterval: 60_000,
  });
  // What was looked for is nobody's business later: it stands in no address and in no cache.
  const found = useAct({ act: ({ by, value }: { by: By; value: string }) => get<CustomersAnswer>("/customers", { [by]: value }), stale: [] });
  const sources = register.data?.sources ?? [];
  const isOff = register.isSuccess && sources.length === 0;
  return (
    <Page title={t("nav.customers")}>
      <p className="lead">{t("customers.intro")}</p>
      {register.isError ? <ErrorNote error={register.error} retry={() => void register.refetch()} /> : null}
      {register.isPending ? <Loading /> : null}
      {isOff ? <Empty title={t("customers.off")} hint={t("customers.offHint")} action={<pre className="raw" tabIndex={0}>{CONNECT}</pre>} /> : null}
      {sources.length > 0 ? (
        <>
          <Ask busy={found.isPending} onAsk={(by, value) => found.mutate({ by, value })} />
          {found.data && found.data.customers.length === 0 ? <Empty title={t("customers.none")} hint={t("customers.noneHint")} /> : null}
          {found.data?.customers.map((one) => <Card key={`${one.source} ${one.id} ${placeOf(one.position)}`} customer={one} />)}
          <Known sources={sources} />
        </>
      ) : null}
    </Page>
  );
}
