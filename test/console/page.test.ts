/** The page as a person uses it: in Chromium, against a server in a process of its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { before, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { buildConsole } from "../../scripts/build-console.mjs";
import { ask } from "../../src/cli/server-client.ts";
import { accessibilityProblems, openBrowser, openTab, screenshot, withoutBrowser } from "./support/browser.ts";
import { hostile, openCatalog, PageServer, wholeWay } from "./support/page-server.ts";

const options = { timeout: 180_000, skip: withoutBrowser };

before(() => buildConsole({ say: () => undefined }));

async function openServer(t: TestContext, catalog = true): Promise<{ server: PageServer; hotpatchId: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-console-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { shop, hotpatchId } = catalog ? await openCatalog(t) : { shop: undefined, hotpatchId: "" };
  const server = new PageServer(path.join(folder, "state"), { shop });
  t.after(() => server.end("SIGKILL"));
  await server.start();
  return { server, hotpatchId };
}

async function signIn(page: Page, server: PageServer): Promise<void> {
  await page.goto(await server.signInLink());
  assert.equal(page.url(), `${server.address}/`);
  await page.getByText("Live", { exact: true }).waitFor();
}

const linux = {
  "os.name": "Debian GNU/Linux 12",
  "kernel.release": "6.1.0",
  "cpu.architecture": "x86_64",
  processes: 2,
};
const running = { "process.4711.command": "node server.js", "process.4711.packages": ["sanitise@1.4.0"] };
const name = "sanitise 1.4.0 → 1.4.1";

test("from approval to verified and back, with no reload", options, async (t) => {
  const { server } = await openServer(t);
  const machine = await server.enrol("web-1", linux);
  const { page, complaints } = await openTab(await openBrowser(t));
  await signIn(page, server);
  await page.evaluate("window.sameDocument = true");
  const action = page.getByRole("listitem", { name: `${name} on web-1` });
  assert.equal(await action.count(), 0);
  await page.getByRole("button", { name: `Approve … ${name}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("the 1 device of this group").waitFor();
  await dialog.getByRole("button", { name: "Approve" }).click();
  await action.getByText("Offered").waitFor();
  await dialog.waitFor({ state: "detached" });
  const timeline = page.getByRole("region", { name: "Timeline" });
  await timeline.getByText(`${name} was approved for all by administrator`).waitFor();
  const [offered] = await machine.actions();
  assert.ok(offered);
  await machine.report(offered, wholeWay.slice(0, 4));
  await action.getByText("Applying").waitFor();
  await machine.report(offered, wholeWay.slice(4));
  await action.getByText("Verified").waitFor();
  await timeline.getByText(`${name} is verified in memory on web-1`).waitFor();
  await page.locator('[data-tile="Protected devices"]').getByText("1", { exact: true }).waitFor();
  await action.getByRole("button", { name: /^Revert/ }).click();
  await dialog.getByText("CVE-2026-1234 is open again there.").waitFor();
  await screenshot(page, "revert-dialog");
  assert.deepEqual(await accessibilityProblems(page), []);
  await dialog.getByRole("button", { name: "Revert" }).click();
  await action.getByText("Reverting").waitFor();
  await machine.report(offered, ["revert-done"]);
  await action.getByText("Reverted").waitFor();
  await action.getByRole("button", { name: /^Offer again/ }).click();
  await dialog.getByRole("button", { name: "Offer again" }).click();
  await action.getByText("Offered").waitFor();
  await page.getByRole("button", { name: `Take back … the approval of ${name} for all` }).click();
  await dialog.getByText("withdrawn from 1 device").waitFor();
  await dialog.getByRole("button", { name: "Take back" }).click();
  await action.getByText("Withdrawn").waitFor();
  assert.equal(await page.evaluate("window.sameDocument"), true);
  assert.deepEqual(complaints, []);
});

test("a change that the server declines is told with its code, and the dialog stays", options, async (t) => {
  const { server, hotpatchId } = await openServer(t);
  await server.enrol("web-1");
  const { page } = await openTab(await openBrowser(t));
  await signIn(page, server);
  await page.getByRole("button", { name: `Approve … ${name}` }).click();
  // Somebody else is quicker.
  await ask(server.state, "approve", { body: { hotpatchId, groupId: "all" } });
  await page.getByRole("region", { name: "Timeline", includeHidden: true }).getByText("was approved for all").waitFor();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Approve" }).click();
  await dialog.getByText("approval/exists").or(dialog.getByText("request/invalid")).waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
});

test("after a server that was killed comes back, the page goes on by itself and misses nothing", options, async (t) => {
  const { server, hotpatchId } = await openServer(t);
  const machine = await server.enrol("web-1");
  const { page, complaints } = await openTab(await openBrowser(t));
  await signIn(page, server);
  await page.getByRole("listitem", { name: "web-1" }).waitFor();
  await page.evaluate("window.sameDocument = true");
  await server.end("SIGKILL");
  const banner = page.getByText("The connection to the server is broken.");
  await banner.waitFor();
  await screenshot(page, "broken");
  assert.deepEqual(await accessibilityProblems(page), []);
  await server.start();
  // Told while the page may not have come back yet.
  await ask(server.state, "approve", { body: { hotpatchId, groupId: "all" } });
  const [offered] = await machine.actions();
  assert.ok(offered);
  await machine.report(offered, wholeWay);
  await banner.waitFor({ state: "detached" });
  await page
    .getByRole("listitem", { name: `${name} on web-1` })
    .getByText("Verified")
    .waitFor();
  await page.getByRole("switch", { name: "Every step" }).check();
  const { items } = await ask(server.state, "listEvents", { query: { limit: 200 } });
  const shown = page.locator("[data-sequence]");
  await page.waitForFunction(`document.querySelectorAll("[data-sequence]").length === ${items.length}`);
  const sequences = await shown.evaluateAll((list) => list.map((item) => Number(item.getAttribute("data-sequence"))));
  assert.deepEqual(sequences, items.map(({ sequence }) => sequence).toReversed());
  assert.equal(await page.evaluate("window.sameDocument"), true);
  assert.deepEqual(complaints, []);
});

test("names and titles from outside are text", options, async (t) => {
  const { server, hotpatchId } = await openServer(t);
  const machine = await server.enrol(hostile, { ...linux, "os.name": hostile });
  const { page, complaints } = await openTab(await openBrowser(t));
  await signIn(page, server);
  await ask(server.state, "approve", { body: { hotpatchId, groupId: "all" } });
  const [offered] = await machine.actions();
  assert.ok(offered);
  await machine.report(offered, ["fetch-started", "refuse"], hostile);
  const needsPerson = page.locator('[data-tile="Needs a person"]');
  await needsPerson.getByText("1", { exact: true }).waitFor();
  for (const region of ["Devices", "Hotpatches", "Actions", "Timeline"]) {
    await page.getByRole("region", { name: region }).getByText(hostile).first().waitFor();
  }
  assert.equal(await page.title(), "Rebootless");
  assert.equal(await page.locator("img, main script").count(), 0);
  assert.deepEqual(complaints, []);
});

test("who is signed out is told how to sign in", options, async (t) => {
  const { server } = await openServer(t, false);
  const browser = await openBrowser(t);
  const { page, complaints } = await openTab(browser);
  await page.goto(server.address);
  await page.getByText("rebootless server sign-in-link").waitFor();
  await screenshot(page, "signed-out");
  assert.deepEqual(await accessibilityProblems(page), []);
  const link = await server.signInLink();
  await page.goto(link);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("server/no-catalog").waitFor();
  await screenshot(page, "empty");
  assert.deepEqual(await accessibilityProblems(page), []);
  const other = await openTab(browser);
  assert.equal((await other.page.goto(link))?.status(), 403);
  await other.page.getByText("This link was used before").waitFor();
  assert.equal(other.page.url(), `${server.address}/`, "the link does not stay in the address bar");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("rebootless server sign-in-link").waitFor();
  assert.deepEqual([...complaints, ...other.complaints], []);
});

test("light and dark, phone and desktop: nothing is cut off, and axe-core finds nothing", options, async (t) => {
  const { server, hotpatchId } = await openServer(t);
  const machines = [];
  for (const host of ["web-1", "web-2", "db-with-a-rather-long-host-name.internal.example"]) {
    machines.push(await server.enrol(host, { ...linux, ...running }));
  }
  await ask(server.state, "approve", { body: { hotpatchId, groupId: "all" } });
  const ways = [wholeWay, wholeWay.slice(0, 4), ["fetch-started", "refuse"]];
  const reason = "PID 4711 has a debugger attached (target/debugger-attached); detach it, then offer this again.";
  for (const [index, machine] of machines.entries()) {
    const [offered] = await machine.actions();
    assert.ok(offered);
    await machine.report(offered, ways[index] ?? [], index === 2 ? reason : undefined);
  }
  const browser = await openBrowser(t);
  for (const colorScheme of ["light", "dark"] as const) {
    for (const [size, viewport] of [
      ["phone", { width: 360, height: 740 }],
      ["desktop", { width: 1280, height: 900 }],
      ["wide", { width: 1920, height: 1080 }],
    ] as const) {
      const { page, complaints } = await openTab(browser, { colorScheme, viewport });
      await signIn(page, server);
      await page
        .getByRole("listitem", { name: `${name} on web-1` })
        .getByText("Verified")
        .waitFor();
      await page.getByText("2 Node.js processes").first().waitFor();
      await screenshot(page, `${size}-${colorScheme}`);
      assert.deepEqual(await accessibilityProblems(page), [], `${size} ${colorScheme}`);
      const width = await page.evaluate("document.documentElement.scrollWidth");
      assert.ok(Number(width) <= viewport.width, `${size} ${colorScheme}: ${width} wide`);
      assert.deepEqual(complaints, [], `${size} ${colorScheme}`);
      await page.context().close();
    }
  }
});

test("by keyboard alone", options, async (t) => {
  const { server } = await openServer(t);
  await server.enrol("web-1");
  const { page } = await openTab(await openBrowser(t));
  await signIn(page, server);
  const approve = page.getByRole("button", { name: `Approve … ${name}` });
  await approve.waitFor();
  const focused = () => page.evaluate<string | null>("document.activeElement.getAttribute('aria-label')");
  for (let count = 0; count < 20 && (await focused()) !== `Approve … ${name}`; count++)
    await page.keyboard.press("Tab");
  assert.equal(await focused(), `Approve … ${name}`);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (let count = 0; count < 10; count++) {
    if ((await page.evaluate("document.activeElement.textContent")) === "Approve") break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page
    .getByRole("listitem", { name: `${name} on web-1` })
    .getByText("Offered")
    .waitFor();
});
