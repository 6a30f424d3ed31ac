/** Devices that are there as their server sees them alone: each with an address, a key, a certificate and facts of its own. */
import { request as httpsRequest } from "node:https";
import { SimulatedAgent } from "../../../bench/fleet/simulated-agent.ts";
import { certificateRequest } from "../../server/support/running-server.ts";

/** Requests under way at one time. */
const concurrency = 16;

export interface SimulatedDevice {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly request: string;
  readonly ca: string;
  agent: SimulatedAgent;
  factsRevision: number;
}

interface Enrolled {
  readonly deviceId: string;
  readonly certificate: string;
  readonly authority: string;
}

export interface Enrolling {
  readonly server: string;
  readonly authority: string;
  readonly name: string;
  readonly token: string;
  /** Which device it is, from 0: each comes from an address of its own, since attempts are counted by address. */
  readonly number: number;
}

export async function enrolSimulated(enrolling: Enrolling): Promise<SimulatedDevice> {
  const { server, name } = enrolling;
  const { key, request } = await certificateRequest();
  const enrolled = await sendEnrolment(enrolling, request);
  const { deviceId: id, certificate, authority: ca } = enrolled;
  const agent = new SimulatedAgent(server, { deviceId: id, key, certificate, ca });
  return { id, name, key, request, ca, agent, factsRevision: 0 };
}

function sendEnrolment({ server, authority, name, token, number }: Enrolling, request: string): Promise<Enrolled> {
  const localAddress = `127.0.1.${1 + (number % 250)}`;
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const options = { method: "POST", headers, ca: authority, agent: false, localAddress };
    const sent = httpsRequest(new URL("/v1/enrol", server), options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 201) resolve(JSON.parse(text) as Enrolled);
        else reject(new Error(`${name} could not enrol: ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ token, name, certificateRequest: request }));
  });
}

/** Tells what changed among the facts of the device. */
export async function tellFacts(device: SimulatedDevice, changes: Record<string, unknown>): Promise<void> {
  const body = { base: device.factsRevision, changes };
  const { revision } = (await device.agent.ask("PATCH", "/v1/agent/facts", body)) as { revision: number };
  device.factsRevision = revision;
}

/** The device has a new certificate, and connects anew with it. */
export async function renewCertificate(device: SimulatedDevice, server: string): Promise<void> {
  const { id: deviceId, key, request, ca } = device;
  const answer = await device.agent.ask("POST", "/v1/agent/certificate", { certificateRequest: request });
  const { certificate } = answer as Pick<Enrolled, "certificate">;
  device.agent.disconnect();
  device.agent = new SimulatedAgent(server, { deviceId, key, certificate, ca });
}

/** Runs `work` on all items, some at a time. */
export async function inTurn<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of left) await work(item);
    }),
  );
}
