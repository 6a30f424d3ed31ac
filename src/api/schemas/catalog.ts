/** The catalog as the server tells of it: releases, baselines, what was withdrawn, what advisories say, and the servicing calendar. */
import { type Static, Type } from "typebox";
import { GroupId, HotpatchId, Instant, Nullable, PageQuery, record, Uuid, words } from "./basics.ts";

export const severities = ["low", "moderate", "high", "critical"] as const;
export const releaseStages = ["preview", "general", "expanded"] as const;
export const releaseChannels = ["hotpatch", "standard"] as const;
export const releaseCadences = ["monthly", "outOfBand"] as const;

export const AdvisoryId = Type.String({ pattern: "^[0-9A-Za-z-]{1,64}$" });
const Day = Type.String({ pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" });
export const Month = Type.String({ pattern: "^[0-9]{4}-(0[1-9]|1[0-2])$" });
const Cvss = record({
  vector: Type.String({ minLength: 1, maxLength: 400, pattern: "^[A-Za-z0-9:./]+$" }),
  score: Type.Number({ minimum: 0, maximum: 10 }),
});

/** How bad a hole is, as the publisher signed it. */
export const Rating = record({
  id: AdvisoryId,
  severity: Type.Optional(words(severities)),
  cvss: Type.Optional(Cvss),
  exploited: Type.Optional(Type.Boolean()),
});

export const Release = record(
  {
    stage: words(releaseStages),
    channel: words(releaseChannels),
    cadence: words(releaseCadences),
    /** Null where the publisher does not say. */
    month: Nullable(Month),
    availableAt: Nullable(Day),
    build: Nullable(Type.String()),
    /** The baseline that a hotpatch builds on. */
    baseline: Nullable(Type.String()),
    /** `leaves`: a device that takes it gets no hotpatches until the next baseline. */
    track: words(["keeps", "leaves"]),
    restart: words(["none", "required"]),
    ratings: Type.Array(Rating),
  },
  { $id: "Release" },
);
export type Release = Static<typeof Release>;

/** The worst of all advisories and ratings. */
export const Danger = {
  severity: Nullable(words(severities)),
  /** The highest CVSS score. */
  score: Nullable(Type.Number()),
  /** At least one is known to be used against somebody. */
  exploited: Type.Boolean(),
};

export const Withdrawal = record(
  {
    kind: words(["hotpatch", "baseline"]),
    id: HotpatchId,
    title: Type.String(),
    at: Type.String(),
    reason: Type.String(),
  },
  { $id: "Withdrawal" },
);
export type Withdrawal = Static<typeof Withdrawal>;

export const Baseline = record(
  {
    id: HotpatchId,
    title: Type.String(),
    description: Nullable(Type.String()),
    system: record({ id: Type.String(), version: Nullable(Type.String()), architecture: Nullable(Type.String()) }),
    unplanned: Type.Boolean(),
    requires: record({
      packages: Type.Record(Type.String(), Type.String()),
      kernel: Nullable(Type.String()),
      build: Nullable(Type.String()),
    }),
    advisories: Type.Array(record({ id: Type.String(), severity: Type.Optional(Type.String()) })),
    supersedes: Type.Array(Type.String()),
    release: Release,
    ...Danger,
  },
  { $id: "Baseline" },
);
export type Baseline = Static<typeof Baseline>;

const Url = Type.String({ minLength: 1, maxLength: 2000, pattern: "^https?://[^\\s\"'<>]+$" });
const Line = Type.String({ maxLength: 400 });

/** What an advisory of somebody else says; never in the place of what is signed. */
export const AdvisoryNote = record(
  {
    id: AdvisoryId,
    /** Other names of the same hole. */
    aliases: Type.Array(AdvisoryId, { maxItems: 64 }),
    title: Line,
    text: Type.String({ maxLength: 2000 }),
    severity: Nullable(words(severities)),
    cvss: Type.Array(Cvss, { maxItems: 8 }),
    exploited: Nullable(Type.Boolean()),
    products: Type.Array(Line, { maxItems: 200 }),
    references: Type.Array(Url, { maxItems: 50 }),
    source: record({
      format: words(["csaf", "osv"]),
      /** Who says it. */
      publisher: Line,
      /** The document's own id, and its version or date. */
      document: Line,
      version: Line,
    }),
    /** What in the document was left aside, and why. */
    doubts: Type.Array(Line, { maxItems: 32 }),
  },
  { $id: "AdvisoryNote" },
);
export type AdvisoryNote = Static<typeof AdvisoryNote>;

export const AdvisoryImport = record({ items: Type.Array(AdvisoryNote, { minItems: 1, maxItems: 50 }) });
export type AdvisoryImport = Static<typeof AdvisoryImport>;

export const StoredAdvisory = record({ note: AdvisoryNote, importedAt: Instant }, { $id: "StoredAdvisory" });
export type StoredAdvisory = Static<typeof StoredAdvisory>;

export const CatalogSearch = record({
  ...PageQuery,
  /** Words, each of which is in the id, the title, the product or an advisory; capitals do not count. */
  text: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  cve: Type.Optional(AdvisoryId),
  /** This severity or worse. */
  severity: Type.Optional(words(severities)),
  /** `kind/name`, or the name alone. */
  product: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
  stage: Type.Optional(words(releaseStages)),
  channel: Type.Optional(words(releaseChannels)),
  exploited: Type.Optional(Type.Boolean()),
});
export type CatalogSearch = Static<typeof CatalogSearch>;

export const CalendarRow = record({
  month: Month,
  /** Such as `2026.11 B`; `B*` where a hotpatch was planned, `OOB` out of band. */
  updateType: Type.String(),
  type: words(["Baseline (Restart)", "Hotpatch"]),
  availableAt: Nullable(Day),
  build: Nullable(Type.String()),
  /** Null of what is planned. */
  id: Nullable(Type.String()),
  title: Nullable(Type.String()),
  stage: Nullable(words(releaseStages)),
  track: Nullable(words(["keeps", "leaves"])),
});
export type CalendarRow = Static<typeof CalendarRow>;
export const Calendar = record({ rows: Type.Array(CalendarRow) }, { $id: "Calendar" });
export type Calendar = Static<typeof Calendar>;
export const CalendarQuery = record({
  /** The first month; January of this year unless told. */
  from: Type.Optional(Month),
  /** How many; 12 unless told. */
  months: Type.Optional(Type.Integer({ minimum: 1, maximum: 60 })),
});
export type CalendarQuery = Static<typeof CalendarQuery>;

/** What the groups of a device opted into: the standard channel, previews, updates that leave the track. */
export const ServicingChoice = record(
  {
    groupId: GroupId,
    channel: words(releaseChannels),
    preview: Type.Boolean(),
    mayLeaveTrack: Type.Boolean(),
    reason: Type.String(),
    changedAt: Instant,
    changedBy: Type.String(),
  },
  { $id: "ServicingChoice" },
);
export type ServicingChoice = Static<typeof ServicingChoice>;
export const NewServicingChoice = record({
  channel: Type.Optional(words(releaseChannels)),
  preview: Type.Optional(Type.Boolean()),
  mayLeaveTrack: Type.Optional(Type.Boolean()),
  reason: Type.Optional(Type.String({ maxLength: 2000 })),
});
export type NewServicingChoice = Static<typeof NewServicingChoice>;

export const standings = ["current", "behind", "restart", "unknown", "elsewhere"] as const;

/** Where a device stands among the baselines, and what it is offered. */
export const DeviceServicing = record(
  {
    deviceId: Uuid,
    channel: words(releaseChannels),
    preview: Type.Boolean(),
    /** The newest baseline that it is on. */
    baseline: Nullable(Type.String()),
    /** The newest baseline that there is for it. */
    newest: Nullable(Type.String()),
    /** With regard to the newest; `elsewhere` where there is none for its system. */
    standing: words(standings),
    /** What it lacks, or does not tell. */
    lacks: Type.Array(Type.String()),
    /** The update that took it off the hotpatch track, and the month of the baseline that brings it back. */
    offTrack: Nullable(record({ by: Type.String(), until: Month })),
    offers: Type.Array(
      record({
        kind: words(["baseline", "hotpatch"]),
        id: Type.String(),
        restart: words(["none", "required"]),
        /** Empty where nothing is in the way. */
        reason: Type.String(),
      }),
    ),
  },
  { $id: "DeviceServicing" },
);
export type DeviceServicing = Static<typeof DeviceServicing>;
