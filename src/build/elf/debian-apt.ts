/**
 * Source packages by apt, from where the machine has its packages, with a configuration and lists of their own.
 *
 * The machine's package sources are read and asked for their source packages as well; nothing of them, of apt's lists or of dpkg's state is changed, so any user may.
 * apt itself checks what it fetches: signatures of the archive, then digests down to each file (SecureApt; apt-secure(8)).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { mustRun, runCommand } from "./run-command.ts";

export interface SourcePackage {
  /** The name of the source package. */
  readonly name: string;
  readonly version: string;
}

export interface UnpackedSource {
  /** The tree with the package's own patches applied. */
  readonly tree: string;
  /** The .dsc file, which names what it needs to be built. */
  readonly description: string;
}

/** The same entries for source packages (sources.list(5)), of those archives that `wanted` takes; one-line style or deb822. */
export function sourceEntries(text: string, style: "list" | "sources", wanted: (uri: string) => boolean): string {
  if (style === "list") {
    const lines = text.split("\n").flatMap((line) => {
      const [, options = "", rest = "", uri = ""] =
        /^\s*deb(?:-src)?\s+(\[[^\]]*\]\s+)?((\S+)\s+.*)$/.exec(line.replace(/#.*/, "")) ?? [];
      return uri !== "" && wanted(uri) ? [`deb-src ${options.trim()} ${rest.trim()}`.replace(/ {2,}/g, " ")] : [];
    });
    return [...new Set(lines)].map((line) => `${line}\n`).join("");
  }
  return text
    .replace(/^#.*\n?/gm, "")
    .split(/\n\s*\n/)
    .filter((stanza) => /^Types:/im.test(stanza) && !/^Enabled:\s*(no|false|0)\s*$/im.test(stanza))
    .filter((stanza) => (/^URIs:\s*(.*(?:\n[ \t].*)*)/im.exec(stanza)?.[1] ?? "").split(/\s+/).some(wanted))
    .map((stanza) => `${stanza.trim().replace(/^Types:.*/im, "Types: deb-src")}\n`)
    .join("\n");
}

export class SourceArchive {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #options: readonly string[];

  private constructor(folder: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#env = env;
    this.#options = [
      "Dir::Etc::sourcelist=/dev/null",
      `Dir::Etc::sourceparts=${join(folder, "sources")}`,
      `Dir::State::lists=${join(folder, "lists")}`,
      `Dir::Cache=${join(folder, "cache")}`,
      // Root's apt would otherwise fetch as a user who cannot enter the folder.
      "APT::Sandbox::User=root",
      "Acquire::Retries=2",
      "Acquire::Languages=none",
    ].flatMap((option) => ["-o", option]);
  }

  /** Fetches the lists of source packages into `folder`. Refuses with `build/source-missing` where the machine has no package sources. */
  static async open(folder: string, env: NodeJS.ProcessEnv): Promise<SourceArchive> {
    for (const part of ["sources", "lists/partial", "cache"]) mkdirSync(join(folder, part), { recursive: true });
    const archive = new SourceArchive(folder, { ...env, LC_ALL: "C" });
    await archive.#writeSources();
    await archive.#run("Fetching the lists of source packages", ["apt-get", ...archive.#options, "-qq", "update"]);
    return archive;
  }

  /** Fetches and unpacks below `folder`. Refuses with `build/source-missing` and the versions that there are. */
  async unpack({ name, version }: SourcePackage, folder: string): Promise<UnpackedSource> {
    const versions = await this.versions(name);
    if (!versions.includes(version))
      refuse(
        "build/source-missing",
        `The archive has no source of ${name} ${version}; it has ${versions.length === 0 ? "none of that name" : versions.join(", ")}. Build from a source tree of that version with --source.`,
        { package: name, version, versions },
      );
    mkdirSync(folder, { recursive: true });
    const words = ["apt-get", ...this.#options, "source", "-qq", "--only-source", `${name}=${version}`];
    await this.#run(`Fetching the source of ${name} ${version}`, words, folder);
    const found = readdirSync(folder, { withFileTypes: true });
    const tree = found.find((entry) => entry.isDirectory());
    const description = found.find((entry) => entry.name.endsWith(".dsc"));
    if (tree === undefined || description === undefined)
      throw new RebootlessError("failure/command", `apt-get source left no tree of ${name} ${version}.`);
    return { tree: join(folder, tree.name), description: join(folder, description.name) };
  }

  /** Versions of a source package that can be had, newest last as the archive lists them. */
  async versions(name: string): Promise<string[]> {
    const words = ["apt-cache", ...this.#options, "showsrc", "--only-source", name];
    const { output } = await runCommand(words, { cwd: this.#folder, env: this.#env });
    const stanzas = output
      .split(/\n\s*\n/)
      .filter((stanza) => new RegExp(`^Package: ${escaped(name)}$`, "m").test(stanza));
    return [...new Set(stanzas.flatMap((stanza) => /^Version: (\S+)$/m.exec(stanza)?.[1] ?? []))];
  }

  /** Only archives of the system's own vendor are asked, where there are any: others rarely have sources, and may be out of reach. */
  async #writeSources(): Promise<void> {
    const shell = await this.#run("apt-config", [
      ..."apt-config shell LIST Dir::Etc::sourcelist/f PARTS Dir::Etc::sourceparts/d".split(" "),
    ]);
    const [, list = ""] = /^LIST='(.*)'$/m.exec(shell) ?? [];
    const [, parts = ""] = /^PARTS='(.*)'$/m.exec(shell) ?? [];
    const files = [list, ...(existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [])];
    const texts = files
      .filter((file) => /\.(list|sources)$/.test(file) && existsSync(file))
      .map((file) => ({
        style: file.endsWith(".list") ? ("list" as const) : ("sources" as const),
        text: readFileSync(file, "utf8"),
      }));
    const own = await this.#vendorArchives();
    const write = (wanted: (uri: string) => boolean): boolean => {
      const made = texts.map(({ style, text }) => ({ style, text: sourceEntries(text, style, wanted) }));
      for (const [index, { style, text }] of made.entries())
        writeFileSync(join(this.#folder, "sources", `${index}.${style}`), text);
      return made.some(({ text }) => text !== "");
    };
    if (write((uri) => own.has(withSlash(uri))) || write(() => true)) return;
    refuse("build/source-missing", "This machine's apt has no package sources to ask for the source.");
  }

  async #vendorArchives(): Promise<Set<string>> {
    const origins = "/etc/dpkg/origins/default";
    const vendor = existsSync(origins) ? /^Vendor: (.+)$/m.exec(readFileSync(origins, "utf8"))?.[1] : undefined;
    if (vendor === undefined) return new Set();
    const words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", `Origin: ${vendor}`];
    const { code, output } = await runCommand(words, { cwd: this.#folder, env: this.#env });
    return new Set(
      code === 0
        ? output
            .split("\n")
            .filter((line) => line !== "")
            .map(withSlash)
        : [],
    );
  }

  #run(what: string, words: readonly string[], cwd = this.#folder): Promise<string> {
    return mustRun(what, words, { cwd, env: this.#env });
  }
}

function withSlash(uri: string): string {
  return uri.endsWith("/") ? uri : `${uri}/`;
}

function escaped(text: string): string {
  return text.replace(/[.+*?^${}()|[\]\\]/g, "\\$&");
}
