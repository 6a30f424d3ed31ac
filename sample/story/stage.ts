/** What the chapters of the story share, and the figures that they leave behind. */
import type { HoleState } from "../attack.ts";
import type { ClientProcess } from "../client-process.ts";
import type { CommandLine } from "../command-line.ts";
import type { Daemon } from "../daemon.ts";
import type { Household } from "../household.ts";
import type { LoadReport } from "../load-generator.ts";
import type { ServiceStatus, SettingsService } from "../settings-service.ts";
import type { StateFolder } from "../state-folder.ts";
import type { StoryOptions } from "./arguments.ts";
import type { Teller } from "./teller.ts";

/** Everything measured, with `--json` printed as it stands. */
export interface Figures {
  ok: boolean;
  failure: { step: string; reason: string } | null;
  isLaterStart: boolean;
  /** The state folder. */
  folder: string;
  server: { address: string; pid: number } | null;
  agent: { pid: number; deviceId: string } | null;
  service: { pid: number; port: number; url: string; node: string } | null;
  client: { pid: number; connections: number; requestsPerSecond: number } | null;
  /** Each attack: what the process was at that time, and whether the attacker got in. */
  attacks: { when: string; hole: HoleState; httpStatus: number; gotPassword: boolean; servedBy: number }[];
  hotpatch: HotpatchFigures | null;
  /** From the publication to the proof, in the order of time; `afterMs` counts from the first line. */
  timeline: { what: string; at: string; afterMs: number }[];
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

/** One apply or revert, by the agent. */
export interface ChangeFigures {
  readonly when: string;
  readonly state: string;
  readonly pid: number;
  /** The longest stretch for which the event loop stood still, measured in the process; null where the agent found the process by itself. */
  readonly pauseMs: number | null;
  /** From the administrator's word to the agent's proof, most of it with the service at work. */
  readonly totalMs: number;
}

/** A step that did not hold. */
export class StoryError extends Error {}

export interface StageParts {
  readonly household: Household;
  readonly teller: Teller;
  readonly commandLine: CommandLine;
  readonly state: StateFolder;
  readonly options: StoryOptions;
  readonly administratorToken: string;
  /** Called when the service, the client, the server or the agent ends before the story does. */
  readonly onUntimelyEnd: (error: Error) => void;
}

/** What goes on running, and ends with the story. */
interface Member {
  readonly untimelyEnd: Promise<never>;
  expectEnd(): void;
}

export class Stage {
  readonly household: Household;
  readonly teller: Teller;
  readonly commandLine: CommandLine;
  readonly state: StateFolder;
  readonly options: StoryOptions;
  readonly figures: Figures;
  readonly administratorToken: string;
  /** Whether an earlier start has published the hotpatch already. */
  isLaterStart = false;
  /** Milliseconds since 1970; undefined at a later start. */
  publishedAt: number | undefined;
  /** The build of the hotpatch, while it is under way. */
  building: Promise<unknown> | undefined;
  #step = "prepare";
  readonly #members = new Map<string, Member>();
  readonly #onUntimelyEnd: (error: Error) => void;

  constructor(parts: StageParts) {
    this.household = parts.household;
    this.teller = parts.teller;
    this.commandLine = parts.commandLine;
    this.state = parts.state;
    this.options = parts.options;
    this.administratorToken = parts.administratorToken;
    this.#onUntimelyEnd = parts.onUntimelyEnd;
    this.figures = {
      ...{ ok: false, failure: null, isLaterStart: false, folder: parts.state.root, server: null, agent: null },
      ...{ service: null, client: null, attacks: [], hotpatch: null, timeline: [], changes: [], verdicts: [] },
      ...{ load: null, status: null },
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
    return this.#member("service") as SettingsService;
  }

  set service(service: SettingsService) {
    this.#add("service", service);
  }

  get client(): ClientProcess {
    return this.#member("client") as ClientProcess;
  }

  set client(client: ClientProcess) {
    this.#add("client", client);
  }

  get server(): Daemon {
    return this.#member("server") as Daemon;
  }

  set server(server: Daemon) {
    this.#add("server", server);
  }

  get agent(): Daemon {
    return this.#member("agent") as Daemon;
  }

  set agent(agent: Daemon) {
    this.#add("agent", agent);
  }

  /** From now on children end because we end them. */
  expectEnd(): void {
    for (const member of this.#members.values()) member.expectEnd();
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`the ${name} has not been started`);
    return member;
  }

  #add(name: string, member: Member): void {
    this.#members.set(name, member);
    member.untimelyEnd.catch(this.#onUntimelyEnd);
  }
}

/** Throws `StoryError` with the sentence when the claim of a step does not hold. */
export function hold(claim: boolean, otherwise: string): asserts claim {
  if (!claim) throw new StoryError(otherwise);
}
