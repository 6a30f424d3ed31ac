/** Debian's Chromium as a person uses it, and what it complains about. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { TestContext } from "node:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const executable = "/usr/bin/chromium";

/** Why there can be no test in a browser; false where there can. */
export const withoutBrowser = existsSync(executable) ? false : "Debian's chromium is not installed";

export async function openBrowser(t: TestContext): Promise<Browser> {
  // Chromium's own sandbox does not start as root.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await chromium.launch({ executablePath: executable, args });
  t.after(() => browser.close());
  return browser;
}

export interface Tab {
  readonly page: Page;
  /** What the page complained of, such as a breach of the content security policy; requests that were declined or got no answer are not among it. */
  readonly complaints: string[];
}

export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  // The server's authority is its own, which a person would have to trust once.
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 900 },
    // Nothing is looked at while it fades in.
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    const bad = message.type() === "error" || message.type() === "warning";
    if (bad && !/^Failed to load resource/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  return { page, complaints };
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * What axe-core finds on the page as it is, in words; WCAG 2.2 AA and its best practices.
 * Left out are the elements that Tabster, beneath Fluent UI, keeps at both ends of the page: they take the focus only to hand it on at once.
 */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe);
  return await page.evaluate<string[]>(`axe.run({ exclude: [["[data-tabster-dummy]"]] }).then(({ violations }) =>
    violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, any }) => id + ": " + help + ": " + html + " " + any.map(({ message }) => message).join("; "))))`);
}

/** Into the folder that REBOOTLESS_SCREENSHOTS names, for a person to look at. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.REBOOTLESS_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
}
