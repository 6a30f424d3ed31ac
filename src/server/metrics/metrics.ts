/**
 * What the server tells Prometheus: its own work as it happens, and the fleet as the database has it when it is asked.
 *
 * Names and units follow the naming rules of Prometheus; docs/metrics.md lists them, and a test compares the two.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type FleetSources, fleetFigures } from "./fleet-figures.ts";

/** Of this process, whichever servers run in it. */
const processRegistry = new Registry();
collectDefaultMetrics({ register: processRegistry });
// Gauges under the names of counters, which Prometheus objects to; each has the same by type under another name.
for (const kind of ["handles", "requests", "resources"])
  processRegistry.removeSingleMetric(`nodejs_active_${kind}_total`);

/** From a quick answer to a poll that waits a minute, in seconds. */
const buckets = [0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60];

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram;
  readonly #faults: Counter;
  readonly #ticks: Counter;
  readonly #gauges = new Map<string, Gauge>();
  #underWay: Promise<string> | undefined;

  constructor(version: string) {
    const registers = [this.#registry];
    this.#requests = new Histogram({
      ...{ name: "rebootless_http_request_duration_seconds", help: "How long requests took, by route.", registers },
      ...{ labelNames: ["method", "route", "code"], buckets },
    });
    const faults = "rebootless_task_faults_total";
    this.#faults = new Counter({ name: faults, help: "Scheduled work that failed.", labelNames: ["task"], registers });
    const ticks = "rebootless_scheduler_ticks_total";
    this.#ticks = new Counter({ name: ticks, help: "Ticks in which this server did what was due.", registers });
    const info = new Gauge({
      ...{
        name: "rebootless_build_info",
        help: "The version that runs; always 1.",
        labelNames: ["version"],
        registers,
      },
    });
    info.set({ version }, 1);
  }

  get mediaType(): string {
    return this.#registry.contentType;
  }

  /** `route` is the pattern, such as `/v1/devices/:deviceId`, so that its values are few. */
  requestDone(
    labels: { readonly method: string; readonly route: string; readonly code: number },
    seconds: number,
  ): void {
    this.#requests.observe({ ...labels, code: String(labels.code) }, seconds);
  }

  tickDone(): void {
    this.#ticks.inc();
  }

  taskFailed(task: string): void {
    this.#faults.inc({ task });
  }

  /** In the text format; who asks while another answer is made gets the same one. */
  async text(sources: FleetSources): Promise<string> {
    this.#underWay ??= this.#make(sources).finally(() => {
      this.#underWay = undefined;
    });
    return await this.#underWay;
  }

  async #make(sources: FleetSources): Promise<string> {
    for (const { name, help, label, values } of await fleetFigures(sources)) {
      const gauge =
        this.#gauges.get(name) ??
        new Gauge({ name, help, labelNames: label === undefined ? [] : [...label], registers: [this.#registry] });
      this.#gauges.set(name, gauge);
      // What is not there any more must not stay at its last value.
      gauge.reset();
      for (const { labels, value } of values) gauge.set({ ...labels }, value);
    }
    return await Registry.merge([this.#registry, processRegistry]).metrics();
  }
}
