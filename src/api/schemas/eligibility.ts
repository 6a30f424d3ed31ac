/** Rules of eligibility, and what they would say of the fleet. */
import { type Static, Type } from "typebox";
import { FilterText, Instant, Nullable, record, Title, Uuid } from "./basics.ts";
import { Product } from "./device-states.ts";

export const RuleId = Type.String({ pattern: "^[a-z0-9][a-z0-9-]{0,62}$" });
/** `*`, a kind as `elf/*`, or one product. */
const ProductPattern = Type.Union([Type.Literal("*"), Type.String({ pattern: "^[a-z][a-z0-9-]{0,30}/\\*$" }), Product]);
const Sentence = Type.String({ minLength: 1, maxLength: 500 });
const Why = Type.String({ minLength: 1, maxLength: 2000 });

const fields = {
  products: Type.Array(ProductPattern, { minItems: 1, maxItems: 100, uniqueItems: true }),
  filter: FilterText,
  /** Why a device is not eligible. */
  reason: Sentence,
  helps: Sentence,
  unknown: Type.Unsafe<"blocks" | "passes">(Type.Enum(["blocks", "passes"])),
  enabled: Type.Boolean(),
};

export const Rule = record(
  {
    id: RuleId,
    ...fields,
    /** It came with the server; `rebootless eligibility reset` makes it what it was. */
    shipped: Type.Boolean(),
    /** Null of one that is as it was shipped. */
    changedAt: Nullable(Instant),
    changedBy: Nullable(Type.String()),
  },
  { $id: "EligibilityRule" },
);
export type Rule = Static<typeof Rule>;

/** What is absent stays as it is; a new rule needs filter, products, reason and helps. */
const changed = {
  products: Type.Optional(fields.products),
  filter: Type.Optional(fields.filter),
  reason: Type.Optional(fields.reason),
  helps: Type.Optional(fields.helps),
  unknown: Type.Optional(fields.unknown),
  enabled: Type.Optional(fields.enabled),
};
export const RuleChange = record({ ...changed, why: Why }, { $id: "EligibilityRuleChange" });
export type RuleChange = Static<typeof RuleChange>;
export const RuleReset = record({ why: Why }, { $id: "EligibilityRuleReset" });

export const RuleHistory = record(
  { at: Instant, by: Type.String(), why: Type.String(), rule: Nullable(record(fields)) },
  { $id: "EligibilityHistory" },
);
export type RuleHistory = Static<typeof RuleHistory>;

export const EligibilityPreviewRequest = record(
  {
    product: Product,
    /** The rules as they are, with this change of one. */
    change: Type.Optional(record({ id: RuleId, ...changed })),
  },
  { $id: "EligibilityPreviewRequest" },
);
export type EligibilityPreviewRequest = Static<typeof EligibilityPreviewRequest>;

const Count = Type.Integer({ minimum: 0 });

export const EligibilityPreview = record(
  {
    product: Product,
    devices: Count,
    eligible: Count,
    /** A device may lack several. */
    lacking: Type.Array(
      record({ ruleId: RuleId, reason: Type.String(), helps: Type.String(), unmet: Count, unknown: Count }),
    ),
    /** Some that are not eligible, by id. */
    examples: Type.Array(record({ id: Uuid, name: Title, rules: Type.Array(RuleId) })),
  },
  { $id: "EligibilityPreview" },
);
export type EligibilityPreview = Static<typeof EligibilityPreview>;
