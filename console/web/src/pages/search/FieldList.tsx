// Which fields the found events have, and their most frequent values, each a click from the query.
import { ActionIcon, TextInput, Tooltip, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import type { FieldsAnswer } from "../../api/types";
import { IconChevron, IconColumn, IconMinus, IconPlus } from "../../icons";
import { useSpeech } from "../../i18n";
import { percent } from "../../lib/format";
import { visible } from "../../lib/escape";
import { Outside } from "../../ui/parts";

interface Props {
  answer: FieldsAnswer;
  columns: string[];
  onInclude: (field: string, value: string) => void;
  onExclude: (field: string, value: string) => void;
  onColumn: (field: string) => void;
}

function Values({ answer, field, onInclude, onExclude }: Pick<Props, "answer" | "onInclude" | "onExclude"> & { field: FieldsAnswer["fields"][number] }) {
  const { t, n } = useSpeech();
  return (
    <ul className="values">
      {field.top.map(({ value, count }) => (
        <li key={value}>
          <div className="value-line">
            <span className="value-text" title={visible(value)}><Outside text={value} /></span>
            <span className="value-count">{n(count)} · {percent(count, answer.sampled)}</span>
            <ActionIcon size={18} aria-label={t("value.include", { value: visible(value) })} onClick={() => onInclude(field.name, value)}><IconPlus size={12} /></ActionIcon>
            <ActionIcon size={18} aria-label={t("value.exclude", { value: visible(value) })} onClick={() => onExclude(field.name, value)}><IconMinus size={12} /></ActionIcon>
          </div>
          <svg className="value-bar" viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden>
            <rect width={answer.sampled ? (100 * count) / answer.sampled : 0} height={3} />
          </svg>
        </li>
      ))}
      <li className="minor">{t("fields.coverage", { share: percent(field.count, answer.sampled) })}</li>
    </ul>
  );
}

export function FieldList(props: Props) {
  const { answer, columns, onColumn } = props;
  const { t, n } = useSpeech();
  const [filter, setFilter] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const wanted = filter.trim().toLowerCase();
  const fields = answer.fields.filter((field) => field.name.toLowerCase().includes(wanted));
  return (
    <section className="fields" aria-label={t("fields.label")}>
      <TextInput placeholder={t("fields.filter")} aria-label={t("fields.filter")} value={filter} onChange={(event) => setFilter(event.currentTarget.value)} />
      <p className="minor fields-basis">
        {answer.exact ? t("fields.exact", { n: answer.total }) : t("fields.sampled", { n: answer.sampled, total: answer.total })}
      </p>
      <ul className="field-names">
        {fields.map((field) => (
          <li key={field.name}>
            <div className="field-line">
              <UnstyledButton className="field-name" aria-expanded={open === field.name} onClick={() => setOpen(open === field.name ? null : field.name)}>
                <IconChevron size={12} className={open === field.name ? "turn turned" : "turn"} aria-hidden />
                <span>{visible(field.name)}</span>
              </UnstyledButton>
              <span className="value-count" title={t("fields.events", { n: field.count })}>{n(field.count)}</span>
              <Tooltip label={t(columns.includes(field.name) ? "fields.columnOff" : "fields.columnOn")}>
                <ActionIcon size={18} onClick={() => onColumn(field.name)} color={columns.includes(field.name) ? "tide" : "gray"}
                  aria-pressed={columns.includes(field.name)} aria-label={`${t("fields.columnOn")}: ${visible(field.name)}`}>
                  <IconColumn size={13} />
                </ActionIcon>
              </Tooltip>
            </div>
            {open === field.name ? <Values {...props} field={field} /> : null}
          </li>
        ))}
      </ul>
      {fields.length === 0 ? <p className="quiet small">{t("fields.none")}</p> : null}
    </section>
  );
}
