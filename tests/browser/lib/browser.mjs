// Debian's Chromium, with every complaint of the page kept: policy violations, errors, failed scripts.
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const axeText = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function launch() {
  return chromium.launch({ executablePath: process.env.CUSTOS_TEST_CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** A browser's context in a language and theme; `complaints` gathers what must stay empty. */
export async function visit(browser, { language = "en", theme = "light", width = 1280, height = 800, state } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, locale: language === "zh" ? "zh-CN" : "en-GB", reducedMotion: "reduce", ...(state ? { storageState: state } : {}),
  });
  await context.addInitScript(([chosen, scheme]) => {
    if (location.protocol === "about:") return;
    localStorage.setItem("custos.language", chosen);
    localStorage.setItem("mantine-color-scheme-value", scheme);
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  }, [language, theme]);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    const text = message.text();
    // A refused request is told by the page itself; the browser's line about it is no fault of the page.
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) complaints.push(text);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

/** What axe finds serious or critical, as short lines. */
export async function seriousFaults(page) {
  await page.evaluate(axeText);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} — ${node.failureSummary?.split("\n")[1] ?? ""}`).join(" | ")}`);
}
