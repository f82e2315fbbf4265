// Log content is text from strangers: what would hide or turn text around is shown, not obeyed.

// C0 and C1 controls, zero-width and direction marks, line separators, the byte-order mark, tag characters.
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u;

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export interface Piece {
  text: string;
  /** An escape that stands for a hidden character. */
  escape: boolean;
}

function escapeOf(character: string): string {
  const short = SHORT[character];
  if (short) return short;
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}

/** Splits text into what is shown as it is, and escapes for what could not be seen. */
export function pieces(text: string, keepNewlines = false): Piece[] {
  if (!HIDDEN.test(text)) return text ? [{ text, escape: false }] : [];
  const found: Piece[] = [];
  let plain = "";
  for (const character of text) {
    const kept = keepNewlines && (character === "\n" || character === "\t");
    if (kept || !HIDDEN.test(character)) {
      plain += character;
      continue;
    }
    if (plain) found.push({ text: plain, escape: false });
    plain = "";
    found.push({ text: escapeOf(character), escape: true });
  }
  if (plain) found.push({ text: plain, escape: false });
  return found;
}

/** The same as one string: for titles, tooltips and labels. */
export function visible(text: string): string {
  return pieces(text)
    .map((piece) => piece.text)
    .join("");
}
