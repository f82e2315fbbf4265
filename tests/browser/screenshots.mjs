// Pictures of every page in both languages and themes, from a demo of its own: node tests/browser/screenshots.mjs [folder].
// The README's: node tests/browser/screenshots.mjs docs/pictures --readme
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { launch, visit } from "./lib/browser.mjs";
import { ask, setUp, until } from "./lib/path.mjs";
import { startDemo } from "./lib/server.mjs";
import { words } from "./lib/words.mjs";

const folder = resolve(process.argv[2] ?? new URL("screenshots", import.meta.url).pathname);
const forReadme = process.argv.includes("--readme");
const NARROW = { width: 390, height: 844 };

/** What each picture shows: its address, and what has to be there before it is taken. */
function pictures({ incident, alert, event, rule }) {
  return {
    overview: ["/", ".brief a"],
    search: ["/search?q=event.category:authentication", ".row-event"],
    "search-event": [`/search?q=user.name:*&event=${event}`, ".field-table"],
    "search-error": ["/search?q=user.name:(alice", ".query-error"],
    "search-live": ["/search?live=1", ".row-event"],
    alerts: ["/alerts", ".alert-row"],
    alert: [`/alerts/${alert}?status=all`, ".why"],
    "alerts-by-rule": ["/alerts?group=rule", ".groups tbody tr"],
    incidents: ["/incidents", ".table tbody tr"],
    incident: [`/incidents/${incident}`, ".incident-grid"],
    effects: ["/effects", ".lead"],
    sources: ["/sources", ".table tbody tr"],
    integrity: ["/integrity", ".table tbody tr"],
    backups: ["/backups", "h1"],
    retention: ["/retention", "h1"],
    customers: ["/customers", "h1"],
    privacy: ["/privacy", "h1"],
    rules: ["/rules", ".table tbody tr"],
    rule: [`/rules/${encodeURIComponent(rule)}`, ".rule-text"],
  };
}

async function take(page, base, list, name) {
  for (const [what, [address, ready]] of Object.entries(list)) {
    await page.goto(base + address);
    await page.locator(ready).first().waitFor({ timeout: 15_000 });
    await page.waitForLoadState("networkidle", { timeout: 1500 }).catch(() => {});
    await page.screenshot({ path: `${folder}/${what}-${name}.png` });
  }
  console.log(`${Object.keys(list).length} pictures: ${name}`);
}

async function prepare(page) {
  const waiting = await until("a run waits for approval", async () => {
    const { runs = [] } = (await ask(page, "GET", "/runs?status=waiting")).body ?? {};
    return runs.filter((run) => run.steps.some((step) => step.status === "waiting_approval"));
  }, 120);
  await until("six kinds of alert", async () => (await ask(page, "GET", "/alerts?group=rule&status=all")).body.groups.length >= 6, 120);
  // One is approved, so that the ledger of open effects and a run that was carried out can be seen too.
  const runs = (await ask(page, "GET", "/runs?status=waiting")).body.runs;
  const first = runs.find((run) => run.steps.some((step) => step.status === "waiting_approval"));
  const step = first.steps.find((one) => one.status === "waiting_approval");
  if (runs.length > 1) await ask(page, "POST", `/runs/${first.id}/approve`, { step: step.name, hash: step.hash });
  const alerts = (await ask(page, "GET", "/alerts?status=all&level=critical,high&limit=50")).body.alerts;
  const alert = alerts.find((one) => one.matched.length > 1) ?? alerts[0];
  const found = (await ask(page, "GET", "/events?query=user.name:*&limit=5")).body.events[2].position;
  return {
    incident: (runs.find((run) => run.id !== first.id) ?? waiting[0]).incident,
    alert: alert.id,
    event: `${found.log}/${found.partition}/${found.seq}`,
    rule: (await ask(page, "GET", "/rules")).body.rules.sort((a, b) => b.hits - a.hits)[0].id,
  };
}

mkdirSync(folder, { recursive: true });
const server = await startDemo();
const browser = await launch();
try {
  const doors = [];
  for (const language of ["en", "zh"]) {
    for (const theme of forReadme ? [] : ["light", "dark"]) {
      const { page, context } = await visit(browser, { language, theme });
      await page.goto(server.setup);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.screenshot({ path: `${folder}/set-up-${language}-${theme}.png` });
      doors.push([language, theme, context]);
    }
  }
  const { page, context } = await visit(browser, {});
  await setUp(page, server, words("en"));
  const list = pictures(await prepare(page));
  const state = await context.storageState();
  for (const [language, theme, door] of doors) {
    const signIn = await door.newPage();
    await signIn.goto(server.base);
    await signIn.getByRole("heading", { level: 1 }).waitFor();
    await signIn.screenshot({ path: `${folder}/sign-in-${language}-${theme}.png` });
    await door.close();
    const wide = await visit(browser, { language, theme, state });
    await take(wide.page, server.base, list, `${language}-${theme}`);
    await wide.context.close();
  }
  const { overview, search, alerts, incident, ...rest } = list;
  for (const [language, theme] of forReadme ? [["en", "light"], ["zh", "dark"]] : []) {
    const { page: shown, context: own } = await visit(browser, { language, theme, state });
    await take(shown, server.base, { overview, "search-event": rest["search-event"], incident }, language);
    await own.close();
  }
  for (const [language, theme] of forReadme ? [] : [["en", "light"], ["zh", "dark"]]) {
    const narrow = await visit(browser, { language, theme, state, ...NARROW });
    await take(narrow.page, server.base, { overview, search, alerts, incident }, `${language}-${theme}-390`);
    await narrow.context.close();
  }
  console.log(`in ${folder}`);
} finally {
  await browser.close();
  await server.stop();
}
