/**
 * The limits of what the server reads and of what it answers at once; docs/server.md prints the same table, and a test compares the two.
 */
const KiB = 1024;

export const apiLimits = {
  /** The body of any request. */
  bodyBytes: 256 * KiB,
  /** A request line with its address; the codes of some providers of OpenID Connect have some 2,000 bytes. */
  addressBytes: 8192,
  /** How deep arrays and objects of a body may stand in one another. */
  jsonDepth: 8,
  /** Commas in a body. */
  jsonElements: 20_000,
  /** One string of a body, in bytes as it is written. */
  jsonStringBytes: 16 * KiB,
  /** The body that tells facts: a machine with 5,000 packages and 600 binaries tells some 300 KiB the first time, and only devices send it. */
  factsBodyBytes: 512 * KiB,
  /** A body of notes of advisories, in bytes. */
  advisoryBodyBytes: 2048 * KiB,
  /** Facts of one device. */
  factsPerDevice: 1_200,
  /** Entries of one fact that is a map, such as the packages of a machine. */
  factEntries: 6_000,
  /** Tags of one device. */
  tagsPerDevice: 50,
  /** Groups of one server: all of them are gone through when a device's facts change. */
  groups: 2_000,
  /** How deep groups stand in one another, `all` included. */
  groupDepth: 10,
  /** Devices that one page of a search goes through at most; it then answers what it found, with a cursor. */
  searchedDevices: 20_000,
  /** Items of one page, at most. */
  pageItems: 200,
  /** Items of one page, unless told. */
  pageItemsByDefault: 50,
  /** How long a poll waits at most, in milliseconds. */
  pollMs: 60_000,
  /** Actions that one poll answers. */
  pollActions: 100,
  /** Polls and event streams that wait at one time. */
  waiting: 20_000,
  /** Polls of one device that wait at one time: one that is under way, and some whose connections broke unseen. */
  waitingPerDevice: 4,
  /** For how long an enrolment token is good at most, in minutes. */
  tokenMinutes: 7 * 24 * 60,
  /** For how long a sign-in link is good, in minutes. */
  signInLinkMinutes: 15,
  /** For how long a session is good, in minutes. */
  sessionMinutes: 12 * 60,
  /** After how many minutes without a request it ends before that. */
  idleMinutes: 60,
  /** For how long an API token is good at most, in days. */
  apiTokenDays: 365,
  /** For how long it is good unless told, in days. */
  apiTokenDaysByDefault: 90,
  /** API tokens of one person. */
  apiTokensPerPerson: 50,
  /** For how many days a request waits for a second person. */
  approvalRequestDays: 7,
  /** Enrolments, sign-ins and wrong API tokens that one address may try within a minute. */
  attemptsPerMinute: 20,
  /** Requests of one device within a minute, which only an agent that has gone wild makes. */
  deviceRequestsPerMinute: 1_200,
  /** Processes that one report tells of. */
  processesPerReport: 200,
  /** Build-ids that are told of one process of a report. */
  buildIdsPerProcess: 8,
  /** Reports that an agent may tell at once. */
  reportsAtOnce: 20,
  /** Reports that are remembered for each device, so that one sent twice counts once. */
  reportsRemembered: 10_000,
} as const;
