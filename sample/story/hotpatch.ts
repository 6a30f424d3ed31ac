/** The fix becomes a signed hotpatch in the catalog. */
import { type HotpatchFigures, hold, type Stage } from "./stage.ts";

export const advisory = "CVE-2022-46175:high";
const shownFunctions = 4;
const hotpatchFile = "json5.hotpatch";

/** What `build` and `inspect` tell of it. */
interface Inspection {
  readonly id: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly target: { readonly name: string; readonly version: string; readonly fixedVersion: string };
  readonly advisories: readonly { readonly id: string; readonly severity?: string }[];
  readonly signatures: { readonly trusted: boolean; readonly signedBy: readonly { readonly keyId: string }[] };
  readonly files: HotpatchFigures["files"];
}

export async function makeHotpatch(stage: Stage): Promise<void> {
  const { teller, state } = stage;
  teller.say(`Everything is kept in ${state.root}, for this user alone.`);
  if (state.has(state.hotpatch)) teller.say("The hotpatch was built at an earlier start.");
  else await build(stage);
  await inspect(stage);
  await publish(stage);
}

const buildWords = [
  ...["build", "npm", "json5@2.2.1", "--to", "2.2.2", "-o", hotpatchFile],
  ...["--key", "keys/author.key", "--advisory", advisory],
] as const;

/** It takes the longest of all steps, so it goes on while the control plane starts. */
export function beginToBuild(stage: Stage): void {
  const { state, commandLine } = stage;
  if (state.has(state.hotpatch)) return;
  stage.building = commandLine.runWith({ silent: true, apart: true }, buildWords);
  // Whether it failed is looked at where the story has come that far.
  stage.building.catch(() => undefined);
}

async function build(stage: Stage): Promise<void> {
  const { teller, building } = stage;
  stage.enterStep("build the hotpatch");
  teller.command(["rebootless", ...buildWords].join(" "));
  teller.say("json5 2.2.1 and 2.2.2 are fetched from the registry by npm and compared.");
  await building?.catch((error: Error) => {
    throw new Error(`${error.message} (The story needs the npm registry for this: see that \`npm ping\` works.)`, {
      cause: error,
    });
  });
}

async function inspect(stage: Stage): Promise<void> {
  const { teller, commandLine } = stage;
  stage.enterStep("inspect the hotpatch");
  const seen = await commandLine.run<Inspection>("inspect", hotpatchFile);
  hold(seen.signatures.trusted, "The hotpatch is not trusted, though its key is.");
  const { name, version, fixedVersion } = seen.target;
  const closes = seen.advisories.map(({ id, severity }) => `${id} (${severity ?? "unrated"})`).join(", ");
  const keyId = seen.signatures.signedBy[0]?.keyId ?? "";
  teller.say(
    `It makes ${name} ${version} behave as ${fixedVersion}, closes ${closes}, signed by the trusted key ${keyId.slice(0, 16)}….`,
  );
  const { id, digest, sizeBytes } = seen;
  const files = seen.files.map(({ path, functions }) => ({ path, functions }));
  stage.figures.hotpatch = { file: hotpatchFile, id, digest, sizeBytes, keyId, files };
  const live = files.filter(({ functions }) => functions.length > 0);
  const later = files.length - live.length;
  const changed = live.map(({ path, functions }) => {
    const more = functions.length > shownFunctions ? ` and ${functions.length - shownFunctions} more` : "";
    return `${path} (${functions.slice(0, shownFunctions).join(", ")}${more})`;
  });
  const rest = later === 0 ? "" : `, and ${later} files that take effect only where they are loaded later`;
  teller.say(`It changes ${changed.join(", ")}${rest}.`);
}

async function publish(stage: Stage): Promise<void> {
  const { teller, commandLine, figures } = stage;
  stage.enterStep("publish the hotpatch");
  const status = await commandLine.runWith<{ hotpatches: readonly { path: string }[] }>({ silent: true }, [
    ...["repo", "status", "--repo", "catalog"],
  ]);
  const id = figures.hotpatch?.id ?? "";
  if (status.hotpatches.some(({ path }) => path.includes(id))) {
    stage.isLaterStart = true;
    figures.isLaterStart = true;
    teller.say("It is in the catalog already.");
    return;
  }
  await commandLine.run("repo", "add", hotpatchFile, "--repo", "catalog");
  await commandLine.run("repo", "publish", "--repo", "catalog", "--keys", "catalog-keys");
  stage.publishedAt = Date.now();
}
