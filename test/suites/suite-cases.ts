/**
 * The packages whose suites are run, and what is known to differ between a patched process and the fixed version.
 *
 * Each names a real hole: the last vulnerable version and the one that closed it.
 * A suite of our own lies in packages/<package>.cjs; a package that is published with its tests runs those as well.
 */

/** Tests that the package itself carries. */
export interface PackageTests {
  readonly runner: "tape" | "mocha";
  /** The package's own file that the tests load, such as index.js. */
  readonly main: string;
  /** A file, or a folder with .js files. */
  readonly path: string;
  /** Files that cannot run beside others in one process. */
  readonly without: readonly string[];
}

/** What is held against what; see suite-run.ts. */
export const comparisons = ["patched", "patched when warm", "reverted", "before the patch"] as const;
export type ComparisonName = (typeof comparisons)[number];

export interface Explanation {
  /** Matches the names of the checks that may differ. */
  readonly check: RegExp;
  readonly in: readonly ComparisonName[];
  /** Why a process that was patched may answer otherwise than one that started with the fixed version. */
  readonly reason: string;
}

export interface SuiteCase {
  readonly id: string;
  readonly package: string;
  readonly vulnerable: string;
  readonly fixed: string;
  readonly cve: string;
  /** Loaded by `import()`. */
  readonly esm: boolean;
  /** Whether there is a suite of our own. */
  readonly suite: boolean;
  readonly tests?: PackageTests;
  readonly explained: readonly Explanation[];
}

const whilePatched = ["patched", "patched when warm"] as const;

/** No code of these packages asks for it. */
const versionText: Explanation = {
  check: /^the version that the library states$/,
  in: whilePatched,
  reason: "a version that was set or copied while the package loaded is still the one on disk",
};

const validatorExports: readonly Explanation[] = [
  versionText,
  {
    check: /^(the exports|isISO4217 of each text)$/,
    in: whilePatched,
    reason:
      "the table of all validators was made while the package loaded; validators that only the fixed version has are not added",
  },
  {
    check: /^locales$/,
    in: whilePatched,
    reason:
      "lists of locales were made from the tables while the package loaded; the validators themselves know the new ones",
  },
];

type Extra = Partial<Pick<SuiteCase, "esm" | "suite" | "tests" | "explained">>;

function suiteCase(name: string, versions: readonly [string, string], cve: string, extra: Extra = {}): SuiteCase {
  const [vulnerable, fixed] = versions;
  return { id: name, package: name, vulnerable, fixed, cve, esm: false, suite: true, explained: [], ...extra };
}

export const suiteCases: readonly SuiteCase[] = [
  suiteCase("minimist", ["1.2.5", "1.2.6"], "CVE-2021-44906", {
    tests: { runner: "tape", main: "index.js", path: "test", without: [] },
  }),
  suiteCase("object-path", ["0.11.4", "0.11.5"], "CVE-2020-15256", {
    tests: { runner: "mocha", main: "index.js", path: "test.js", without: [] },
  }),
  suiteCase("lodash", ["4.17.20", "4.17.21"], "CVE-2021-23337", { explained: [versionText] }),
  suiteCase("semver", ["7.5.1", "7.5.2"], "CVE-2022-25883"),
  suiteCase("json5", ["2.2.1", "2.2.2"], "CVE-2022-46175"),
  suiteCase("ws", ["7.4.5", "7.4.6"], "CVE-2021-32640"),
  suiteCase("validator", ["13.6.0", "13.7.0"], "CVE-2021-3765", { explained: validatorExports }),
  suiteCase("express", ["4.19.1", "4.19.2"], "CVE-2024-29041"),
  suiteCase("handlebars", ["4.7.6", "4.7.7"], "CVE-2021-23369", { explained: [versionText] }),
  suiteCase("moment", ["2.29.3", "2.29.4"], "CVE-2022-31129", { explained: [versionText] }),
  suiteCase("jsonwebtoken", ["8.5.1", "9.0.0"], "CVE-2022-23540"),
  suiteCase("braces", ["3.0.2", "3.0.3"], "CVE-2024-4068"),
  suiteCase("fast-xml-parser", ["4.1.1", "4.1.2"], "CVE-2023-26920"),
  suiteCase("dset", ["3.1.3", "3.1.4"], "CVE-2024-21529"),
  suiteCase("devalue", ["5.3.1", "5.3.2"], "CVE-2025-57820", { esm: true }),
  suiteCase("serialize-javascript", ["6.0.1", "6.0.2"], "CVE-2024-11831"),
  suiteCase("nth-check", ["2.0.0", "2.0.1"], "CVE-2021-3803"),
  suiteCase("dot-prop", ["5.1.0", "5.1.1"], "CVE-2020-8116"),
  suiteCase("cross-spawn", ["7.0.3", "7.0.5"], "CVE-2024-21538"),
  suiteCase("undici", ["5.19.0", "5.19.1"], "CVE-2023-24807"),
  suiteCase("tough-cookie", ["4.1.2", "4.1.3"], "CVE-2023-26136", { explained: [versionText] }),
  suiteCase("y18n", ["5.0.4", "5.0.5"], "CVE-2020-7774", {
    explained: [
      {
        check: /^the old one says\("en", "(__proto__|constructor)"\)$/,
        in: whilePatched,
        reason: "words kept from before lose their prototypes with what holds them, so that none of these finds one",
      },
    ],
  }),
  suiteCase("follow-redirects", ["1.15.5", "1.15.6"], "CVE-2024-28849"),
  suiteCase("hosted-git-info", ["2.8.8", "2.8.9"], "CVE-2021-23362"),
  suiteCase("decode-uri-component", ["0.2.0", "0.2.1"], "CVE-2022-38900"),
  suiteCase("word-wrap", ["1.2.3", "1.2.4"], "CVE-2023-26115"),
  suiteCase("trim-newlines", ["4.0.0", "4.0.1"], "CVE-2021-33623", { esm: true }),
  suiteCase("node-fetch", ["3.1.0", "3.1.1"], "CVE-2022-0235", { esm: true }),
];

/** Those with the given ids, in the order of the list; throws an Error that names an unknown one. */
export function onlySuites(ids: readonly string[]): readonly SuiteCase[] {
  const unknown = ids.find((id) => !suiteCases.some((one) => one.id === id));
  if (unknown !== undefined) throw new Error(`there is no suite for ${unknown}`);
  return suiteCases.filter(({ id }) => ids.includes(id));
}
