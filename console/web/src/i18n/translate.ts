// Fills a catalogue's text: `{name}` takes a value, `{n|event|events}` the form that fits the number n.
export type Language = "en" | "zh";
export type Values = Record<string, string | number>;

/** Language tags for the browser's own number and date formats. */
export const LOCALES: Record<Language, string> = { en: "en-GB", zh: "zh-CN" };

export function number(language: Language, value: number): string {
  return new Intl.NumberFormat(LOCALES[language], { maximumFractionDigits: 1 }).format(value);
}

export function fill(language: Language, text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (one !== undefined && many !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? number(language, value) : value;
  });
}

/** The language of the browser, where it is one of ours. */
export function preferred(languages: readonly string[]): Language {
  const first = languages.find((tag) => /^(zh|en)\b/i.test(tag));
  return first && /^zh/i.test(first) ? "zh" : "en";
}
