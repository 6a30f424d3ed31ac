/** Checks for hosted-git-info: addresses of every form and host. */
"use strict";
const { calls, each, quick } = require("../checks.cjs");

const hosts = ["github", "gitlab", "bitbucket", "gist"];
const forms = [
  "HOST:user/project",
  "HOST:user/project.git",
  "HOST:user/project#branch",
  "HOST:user/project.git#semver:^1",
  "HOST:user:pass@other/project",
  "HOST:project",
  "HOST:/project",
  "HOST:user/",
  "HOST:",
  "HOST:a/b/c",
  "HOST:us%20er/pro%2Fject",
  "HOST:user/%zz",
  "HOST:user@x/project#a#b",
  "git@HOST.com:user/project.git",
  "https://HOST.com/user/project",
  "https://user:pass@HOST.com/user/project.git#b",
  "git+ssh://git@HOST.com/user/project.git",
  "git://HOST.com/user/project",
  "ssh://git@HOST.com:user/project",
  "http://HOST.com/user/project/tree/master",
  "https://www.HOST.com/user/project",
  "git+https://HOST.org/user/project",
];
const others = [
  "user/project",
  "user/project#branch",
  "./user/project",
  "@scope/name",
  "user/pro ject",
  "",
  null,
  undefined,
  "file:///x",
  "https://example.com/user/project",
  "user/project/more",
  "-user/project",
  "user/.git",
];
let round = 0;
let slashes = 60_000;
const options = [undefined, { noCommittish: true }, { noGitPlus: true }];

/** The package answers addresses that it has seen from its own cache, so each round asks for others. */
function ofThisRound(url) {
  return typeof url === "string" ? url.replace(/user|project/g, (word) => `${word}${round}`) : url;
}

function told(info) {
  if (info === undefined || info === null) return info;
  const urls = [
    "hash",
    "ssh",
    "sshurl",
    "browse",
    "docs",
    "bugs",
    "https",
    "git",
    "shortcut",
    "path",
    "tarball",
    "toString",
  ].map((name) => [name, info[name]()]);
  return {
    type: info.type,
    user: info.user,
    project: info.project,
    auth: info.auth,
    committish: info.committish,
    default: info.default,
    urls,
    browseFile: info.browse("a b.js", "x"),
    file: info.file("README"),
  };
}

module.exports = {
  keep: (library) => ({ library, fromUrl: library.fromUrl, old: library.fromUrl("github:kept/before#x") }),
  checks: ({ library, fromUrl, old }) => [
    [
      "round",
      () => {
        round += 1;
        return round;
      },
    ],
    ...calls(
      "fromUrl",
      (url, option) => told(fromUrl(ofThisRound(url), option)),
      hosts.flatMap((host) => forms.map((form) => [form.replace("HOST", host)])),
    ),
    ...calls(
      "fromUrl",
      (url, option) => told(fromUrl(ofThisRound(url), option)),
      others.flatMap((url) => options.map((option) => [url, option])),
    ),
    ...each(
      "through the library object",
      (form) => told(library.fromUrl(ofThisRound(form.replace("HOST", "github")), { noCommittish: true })),
      forms,
    ),
    ["an object from before", () => told(old)],
    quick("many slashes", () => {
      slashes += 1;
      return fromUrl(`a:${"/".repeat(slashes)}#`);
    }),
  ],
};
