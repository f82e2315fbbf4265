// How soon a page is seen: node tests/browser/paint.mjs [loads]. Each load has a browser context without a cache; a
// demo of its own gives the data. Told, never judged: docs/performance.md has the last figures.
import { launch, visit } from "./lib/browser.mjs";
import { setUp, until, ask } from "./lib/path.mjs";
import { startDemo } from "./lib/server.mjs";
import { words } from "./lib/words.mjs";

const loads = Number(process.argv[2] ?? 10);
const PAGES = { "/": ".brief a", "/search?q=event.category:authentication": ".row-event", "/alerts": ".alert-row" };

/** First contentful paint, the moment the page's content stands, and the bytes that came over the wire. */
async function load(browser, state, base, address, ready) {
  const { page, context } = await visit(browser, { state });
  await page.goto(base + address);
  await page.locator(ready).first().waitFor();
  const told = await page.evaluate(() => ({
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
    ready: performance.now(),
    bytes: performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((sum, one) => sum + one.transferSize, 0),
  }));
  await context.close();
  return told;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const server = await startDemo();
const browser = await launch();
try {
  const { page, context } = await visit(browser, {});
  await setUp(page, server, words("en"));
  await until("the day to be in", async () => (await ask(page, "GET", "/alerts?group=rule&status=all")).body.groups.length >= 6, 120);
  const state = await context.storageState();
  for (const [address, ready] of Object.entries(PAGES)) {
    const runs = [];
    for (let n = 0; n < loads; n += 1) runs.push(await load(browser, state, server.base, address, ready));
    const of = (what) => runs.map((run) => run[what]);
    console.log(JSON.stringify({
      page: address, loads, first_paint_ms: Math.round(median(of("paint"))), first_paint_max_ms: Math.round(Math.max(...of("paint"))),
      content_ms: Math.round(median(of("ready"))), transferred_bytes: median(of("bytes")),
    }));
  }
} finally {
  await browser.close();
  await server.stop();
}
