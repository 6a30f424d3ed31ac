/**
 * The client of the settings service as a program of its own, so that nothing that its starter does disturbs its clock.
 *
 * Orders come over the IPC channel, each answered with a report; it ends with its starter.
 */
import { LoadGenerator, type LoadOptions, type LoadReport } from "./load-generator.ts";

export type ClientOrder =
  | ({ readonly kind: "start" } & LoadOptions)
  | { readonly kind: "phase"; readonly name: string }
  | { readonly kind: "report" }
  | { readonly kind: "stop" };

export interface ClientAnswer {
  readonly id: number;
  readonly report: LoadReport;
}

let generator: LoadGenerator | undefined;

async function carryOut(order: ClientOrder): Promise<LoadReport> {
  if (order.kind === "start") generator = new LoadGenerator(order);
  if (generator === undefined) throw new Error("the client has not been started");
  if (order.kind === "phase") generator.enterPhase(order.name);
  if (order.kind === "stop") await generator.stop();
  return generator.report();
}

process.on("message", ({ id, order }: { id: number; order: ClientOrder }) => {
  carryOut(order).then((report) => process.send?.({ id, report } satisfies ClientAnswer));
});
process.on("disconnect", () => process.exit(0));
