// Every key, and how to ask: what `?` opens.
import { Kbd, Modal } from "@mantine/core";
import { useSpeech, type Key } from "../i18n";
import { ALL } from "./navigation";

const KEYS: { title: Key; keys: [string, Key][] }[] = [
  { title: "help.everywhere", keys: [["Ctrl K", "help.palette"], ["?", "help.open"], ["/", "help.focus"], ["Esc", "help.leave"]] },
  {
    title: "help.alerts",
    keys: [["j k", "help.move"], ["Enter", "help.openRow"], ["x", "help.select"], ["Shift x", "help.range"], ["a", "help.acknowledge"],
      ["e", "help.escalate"], ["t", "help.truePositive"], ["f", "help.falsePositive"], ["b", "help.benign"]],
  },
  { title: "help.search", keys: [["Enter", "help.run"], ["Ctrl Space", "help.complete"], ["j k", "help.move"], ["l", "help.live"]] },
];

const EXAMPLES: [string, Key][] = [
  ["event.outcome:failure and user.name:svc*", "help.exampleAnd"],
  ["source.ip:10.0.0.0/8 and not event.outcome:success", "help.exampleNet"],
  ["http.response.status_code >= 400", "help.exampleNumber"],
  ['"failed password"', "help.exampleText"],
  ["user.name:(alice or bob)", "help.exampleOr"],
  ["event.kind:pipeline_error", "help.exampleRejected"],
];

export function Help({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useSpeech();
  return (
    <Modal opened={opened} onClose={onClose} title={t("help.title")} size="lg" closeButtonProps={{ "aria-label": t("action.close") }}>
      <div className="help">
        {KEYS.map((group) => (
          <section key={group.title}>
            <h3>{t(group.title)}</h3>
            <dl className="help-keys">
              {group.keys.map(([keys, what]) => (
                <div key={keys + what}><dt>{keys.split(" ").map((key) => <Kbd key={key} size="xs">{key}</Kbd>)}</dt><dd>{t(what)}</dd></div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>{t("help.goTo")}</h3>
          <dl className="help-keys">
            {ALL.map((item) => (
              <div key={item.path}><dt><Kbd size="xs">g</Kbd><Kbd size="xs">{item.key}</Kbd></dt><dd>{t(item.label)}</dd></div>
            ))}
          </dl>
        </section>
        <section className="help-wide">
          <h3>{t("help.language")}</h3>
          <dl className="help-queries">
            {EXAMPLES.map(([query, what]) => (
              <div key={query}><dt><code>{query}</code></dt><dd>{t(what)}</dd></div>
            ))}
          </dl>
        </section>
      </div>
    </Modal>
  );
}
