/** What the chapters of the story share, and the figures that they leave behind. */
import type { HoleState } from "../attack.ts";
import type { ClientProcess } from "../client-process.ts";
import type { CommandLine } from "../command-line.ts";
import type { Household } from "../household.ts";
import type { LoadReport } from "../load-generator.ts";
import type { ServiceStatus, SettingsService } from "../settings-service.ts";
import type { StoryOptions } from "./arguments.ts";
import type { Teller } from "./teller.ts";

/** Everything measured, with `--json` printed as it stands. */
export interface Figures {
  ok: boolean;
  failure: { step: string; reason: string } | null;
  folder: string;
  service: { pid: number; port: number; url: string; node: string } | null;
  client: { pid: number; connections: number; requestsPerSecond: number } | null;
  /** Each attack: what the process was at that time, and whether the attacker got in. */
  attacks: { when: string; hole: HoleState; httpStatus: number; gotPassword: boolean; servedBy: number }[];
  hotpatch: HotpatchFigures | null;
  changes: ChangeFigures[];
  verdicts: { when: string; state: string; findings: number }[];
  load: LoadReport | null;
  status: { first: ServiceStatus; last: ServiceStatus } | null;
}

export interface HotpatchFigures {
  readonly file: string;
  readonly id: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly keyId: string;
  readonly files: readonly { readonly path: string; readonly functions: readonly string[] }[];
}

/** One apply or revert. */
export interface ChangeFigures {
  readonly when: string;
  readonly state: string;
  readonly pid: number;
  /** The longest stretch for which the event loop stood still, measured in the process. */
  readonly pauseMs: number;
  /** From the first step of the engine to its last, most of it with the service at work. */
  readonly totalMs: number;
  /** The command as a whole. */
  readonly commandMs: number;
}

/** A step that did not hold. */
export class StoryError extends Error {}

export class Stage {
  readonly household: Household;
  readonly teller: Teller;
  readonly commandLine: CommandLine;
  readonly options: StoryOptions;
  readonly figures: Figures;
  readonly administratorToken: string;
  #step = "prepare";
  #service: SettingsService | undefined;
  #client: ClientProcess | undefined;
  readonly #onUntimelyEnd: (error: Error) => void;

  constructor(parts: {
    household: Household;
    teller: Teller;
    commandLine: CommandLine;
    options: StoryOptions;
    administratorToken: string;
    /** Called when the service or the client ends before the story does. */
    onUntimelyEnd: (error: Error) => void;
  }) {
    this.household = parts.household;
    this.teller = parts.teller;
    this.commandLine = parts.commandLine;
    this.options = parts.options;
    this.administratorToken = parts.administratorToken;
    this.#onUntimelyEnd = parts.onUntimelyEnd;
    this.figures = {
      ok: false,
      failure: null,
      folder: parts.commandLine.folder,
      service: null,
      client: null,
      attacks: [],
      hotpatch: null,
      changes: [],
      verdicts: [],
      load: null,
      status: null,
    };
  }

  /** The name of what is being done, for the case that it does not hold. */
  get step(): string {
    return this.#step;
  }

  enterStep(name: string): void {
    this.#step = name;
  }

  get service(): SettingsService {
    if (this.#service === undefined) throw new Error("the service has not been started");
    return this.#service;
  }

  set service(service: SettingsService) {
    this.#service = service;
    service.untimelyEnd.catch(this.#onUntimelyEnd);
  }

  get client(): ClientProcess {
    if (this.#client === undefined) throw new Error("the client has not been started");
    return this.#client;
  }

  set client(client: ClientProcess) {
    this.#client = client;
    client.untimelyEnd.catch(this.#onUntimelyEnd);
  }

  /** From now on children end because we end them. */
  expectEnd(): void {
    this.#service?.expectEnd();
    this.#client?.expectEnd();
  }
}

/** Throws `StoryError` with the sentence when the claim of a step does not hold. */
export function hold(claim: boolean, otherwise: string): asserts claim {
  if (!claim) throw new StoryError(otherwise);
}
