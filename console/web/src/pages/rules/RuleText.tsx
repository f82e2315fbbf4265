// A rule's text to be written: YAML in colours, its problems in the lines where they are.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics, type Diagnostic } from "@codemirror/lint";
import { EditorState, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tagHighlighter, tags } from "@lezer/highlight";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";
import type { LintProblem } from "../../api/types";
import { nonce } from "../../lib/nonce";

export interface Found extends LintProblem {
  bad: boolean;
}

export interface RuleTextHandle {
  /** Puts the cursor where a problem is. */
  show: (problem: LintProblem) => void;
}

interface Props {
  text: string;
  label: string;
  hint: string;
  problems: Found[];
  onChange: (text: string) => void;
  ref: Ref<RuleTextHandle>;
}

const COLOURS = tagHighlighter([
  { tag: tags.propertyName, class: "y-key" },
  { tag: tags.comment, class: "y-comment" },
  { tag: tags.string, class: "y-text" },
  { tag: tags.content, class: "y-plain" },
]);

/** Where a problem's word begins and ends. Its text may be older than the document. */
function range(doc: Text, { line, column }: LintProblem): { from: number; to: number } {
  const at = doc.line(Math.min(Math.max(1, line), doc.lines));
  const characters = [...at.text];
  const from = at.from + characters.slice(0, Math.max(0, column - 1)).join("").length;
  const word = /^[^\s:|,{}[\]]+/u.exec(doc.sliceString(from, at.to))?.[0].length ?? 0;
  return { from, to: Math.min(at.to, from + Math.max(1, word)) };
}

export function RuleText({ text, label, hint, problems, onChange, ref }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const change = useRef(onChange);
  change.current = onChange;

  useEffect(() => {
    if (!host.current) return undefined;
    const editor = new EditorView({
      parent: host.current,
      doc: text,
      extensions: [
        EditorView.cspNonce.of(nonce()),
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        indentOnInput(),
        indentUnit.of("    "),
        EditorState.tabSize.of(4),
        bracketMatching(),
        yaml(),
        syntaxHighlighting(COLOURS),
        placeholder(hint),
        EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off", tabindex: "0" }),
        // Tab leaves the editor, as everywhere on a page: who works by keyboard is not caught in it.
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) change.current(update.state.doc.toString());
        }),
      ],
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor keeps its own text; a change of language makes it anew with the same one.
  }, [label, hint]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text, label, hint]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const told = problems.map((it): Diagnostic => ({ ...range(editor.state.doc, it), severity: it.bad ? "error" : "warning", message: it.message }));
    editor.dispatch(setDiagnostics(editor.state, told));
  }, [problems, label, hint]);

  useImperativeHandle(ref, () => ({
    show: (problem) => {
      const editor = view.current;
      if (!editor) return;
      const { from, to } = range(editor.state.doc, problem);
      editor.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
      editor.focus();
    },
  }), []);

  return <div ref={host} className="rule-edit" />;
}
