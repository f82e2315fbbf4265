// The query bar: one line with colours, completion of fields and values, history, and errors at their column.
import { autocompletion, closeCompletion, completionKeymap, completionStatus, startCompletion, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { Decoration, EditorView, keymap, MatchDecorator, placeholder, ViewPlugin, type DecorationSet, type ViewUpdate } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { get } from "../../api/client";
import type { FieldName, TopValue } from "../../api/types";
import { useSpeech } from "../../i18n";
import { nonce } from "../../lib/nonce";
import { placeAt, quote } from "../../lib/query";
import { queryHistory } from "../../lib/settings";

export interface QueryError {
  /** Counted from 1, in characters. */
  column: number;
  message: string;
}

interface Props {
  query: string;
  fields: FieldName[];
  error: QueryError | undefined;
  onRun: (query: string) => void;
  onChange: (query: string) => void;
}

const COLOURS = new MatchDecorator({
  regexp: /("(?:[^"\\]|\\.)*"?)|\b(and|or|not)\b|([\p{L}_@][\p{L}\p{N}_.-]*)(?=\s*(?::|[<>]=?))|([:()<>=]+)/giu,
  decoration: (match) =>
    Decoration.mark({ class: match[1] ? "q-text" : match[2] ? "q-word" : match[3] ? "q-field" : "q-sign" }),
});

const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = COLOURS.createDeco(view);
    }
    update(update: ViewUpdate) {
      this.decorations = COLOURS.updateDeco(update, this.decorations);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

/** A query is one line: pasted breaks become spaces. */
const oneLine = EditorState.transactionFilter.of((transaction) => {
  if (!transaction.docChanged || transaction.newDoc.lines === 1) return transaction;
  const text = transaction.newDoc.toString().replaceAll(/\s*\n\s*/g, " ");
  const length = transaction.startState.doc.length;
  return [{ changes: { from: 0, to: length, insert: text }, selection: { anchor: text.length } }];
});

async function values(field: string, prefix: string, from: number, abort: AbortSignal): Promise<CompletionResult | null> {
  const answer = await get<{ values: TopValue[] }>("/events/values", { field, prefix, query: "*" }, abort).catch(() => null);
  if (!answer) return null;
  const options: Completion[] = answer.values.map(({ value, count }, at) => ({
    label: value, apply: quote(value), detail: String(count), type: "value", boost: -at,
  }));
  return { from, options, filter: false };
}

const WORDS: Completion[] = ["and", "or", "not"].map((label) => ({ label, apply: `${label} `, type: "keyword" }));

function completion(fields: () => FieldName[]) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const text = context.state.doc.toString();
    const place = placeAt(text, context.pos);
    if (!place) return null;
    if (place.kind === "value") {
      const abort = new AbortController();
      context.addEventListener("abort", () => abort.abort());
      return values(place.field, place.prefix, place.from, abort.signal);
    }
    if (!place.prefix && !context.explicit) return null;
    const old = text === "" ? queryHistory().slice(0, 10).map((query, at) => ({ label: query, type: "history", boost: 50 - at })) : [];
    const names = fields().map((field) => ({
      label: field.name, apply: `${field.name}:`, detail: field.type, type: "field", ...(field.description ? { info: field.description } : {}),
    }));
    return { from: place.from, options: [...old, ...WORDS, ...names], validFor: /^[\p{L}\p{N}_.@-]*$/u };
  };
}

/** After a field's colon the values are wanted at once. */
const thenValues = EditorView.updateListener.of((update) => {
  if (!update.docChanged || !update.view.hasFocus) return;
  const at = update.state.selection.main.head;
  const typed = update.transactions.some((transaction) => transaction.isUserEvent("input"));
  if (typed && update.state.doc.sliceString(at - 1, at) === ":") setTimeout(() => startCompletion(update.view), 0);
});

export function QueryBar({ query, fields, error, onRun, onChange }: Props) {
  const { t } = useSpeech();
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const current = useRef({ fields, onRun, onChange });
  current.current = { fields, onRun, onChange };
  const label = t("search.bar");
  const hint = t("search.placeholder");

  useEffect(() => {
    if (!host.current) return undefined;
    const run = (editor: EditorView) => {
      closeCompletion(editor);
      current.current.onRun(editor.state.doc.toString());
      return true;
    };
    const leave = (editor: EditorView) => {
      if (completionStatus(editor.state)) return closeCompletion(editor);
      editor.contentDOM.blur();
      return true;
    };
    const earlier = (editor: EditorView) => editor.state.doc.length === 0 && startCompletion(editor);
    const editor = new EditorView({
      parent: host.current,
      doc: query,
      extensions: [
        EditorView.cspNonce.of(nonce()),
        history(),
        oneLine,
        colours,
        EditorView.lineWrapping,
        placeholder(hint),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
        autocompletion({ override: [completion(() => current.current.fields)], icons: false, maxRenderedOptions: 60, activateOnTypingDelay: 80 }),
        thenValues,
        keymap.of(completionKeymap),
        Prec.low(keymap.of([{ key: "Enter", run }, { key: "Escape", run: leave }, { key: "ArrowDown", run: earlier }])),
        Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
        Prec.lowest(keymap.of([...defaultKeymap.filter((binding) => binding.key !== "Enter"), ...historyKeymap])),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) current.current.onChange(update.state.doc.toString());
        }),
      ],
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor keeps its own text; a change of language makes it anew with the same one.
  }, [label, hint]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === query) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: query } });
  }, [query]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const length = editor.state.doc.length;
    const from = Math.min(Math.max(0, (error?.column ?? 1) - 1), Math.max(0, length - 1));
    const found = error
      ? [{ from, to: Math.min(length, from + 1), severity: "error" as const, message: error.message }]
      : [];
    editor.dispatch(setDiagnostics(editor.state, found));
  }, [error]);

  return <div ref={host} className={error ? "query-bar query-wrong" : "query-bar"} />;
}

/** Puts the cursor into the bar: what `/` does. */
export function focusQueryBar(): void {
  document.querySelector<HTMLElement>(".query-bar .cm-content")?.focus();
}
