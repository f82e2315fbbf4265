/** What the page's Content-Security-Policy lets style elements carry; told by the server in a meta element. */
export function nonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
}
