// Steps that the tests and the pictures share.
import assert from "node:assert/strict";

export const PERSON = { name: "mei.lin", password: "correct horse lamp river" };

/** Opens the link that the server printed, and makes the first account. */
export async function setUp(page, server, t) {
  await page.goto(server.setup);
  await page.getByRole("heading", { name: t("setup.title") }).waitFor();
  await page.getByLabel(t("session.name")).fill(PERSON.name);
  await page.getByLabel(t("session.password"), { exact: false }).first().fill(PERSON.password);
  await page.getByLabel(t("setup.again")).fill(PERSON.password);
  await page.getByRole("button", { name: t("setup.act") }).click();
  await page.getByRole("heading", { name: t("nav.overview"), level: 1 }).waitFor();
}

export async function signIn(page, base, t) {
  await page.goto(base);
  await page.getByLabel(t("session.name")).fill(PERSON.name);
  await page.getByLabel(t("session.password"), { exact: false }).first().fill(PERSON.password);
  await page.getByRole("button", { name: t("session.signIn") }).click();
  await page.getByRole("heading", { name: t("nav.overview"), level: 1 }).waitFor();
}

/** Asks the API as the page does, from inside it. */
export function ask(page, method, path, body) {
  return page.evaluate(async ([verb, address, content]) => {
    const session = await (await fetch("/api/v1/session")).json();
    const answer = await fetch(`/api/v1${address}`, {
      method: verb,
      headers: { "content-type": "application/json", "x-csrf-token": session.csrf ?? "" },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : null };
  }, [method, path, body]);
}

/** Asks again until the answer satisfies; the demo's day arrives while the test walks. */
export async function until(what, look, seconds = 90) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    last = await look();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  assert.fail(`not within ${seconds} s: ${what}; last answer: ${JSON.stringify(last)}`);
}
