/**
 * The few words that are spoken with the inspector of a target: find its address, evaluate one expression.
 */
import { get } from "node:http";

export interface InspectorAddress {
  readonly host: string;
  readonly port: number;
}

const listBytesMax = 64 * 1024;

/** The WebSocket address of the inspector at this place, or `undefined` when something else answers there. */
export async function findInspector({ host, port }: InspectorAddress, timeoutMs: number): Promise<string | undefined> {
  const text = await new Promise<string | undefined>((resolve) => {
    const request = get({ host, port, path: "/json/list", agent: false, timeout: timeoutMs }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > listBytesMax) request.destroy();
      });
      response.on("end", () => resolve(body));
      response.on("close", () => resolve(undefined));
      response.on("error", () => resolve(undefined));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
  // The id of the address is a UUID (src/inspector_io.cc); everything else of it is known already.
  const id = /"id": ?"([0-9a-f]{8}-[0-9a-f-]{27})"/.exec(text ?? "")?.[1];
  return id === undefined ? undefined : `ws://${host.includes(":") ? `[${host}]` : host}:${port}/${id}`;
}

export type EvaluationResult = { readonly value: unknown } | { readonly exception: string };

export interface InspectorSession {
  /** Sends the expression; the answer never comes when the expression closes the inspector. */
  evaluate(expression: string): Promise<EvaluationResult>;
  close(): void;
}

/** Opens a session, or gives `undefined` when the inspector does not answer in time. */
export async function openSession(url: string, timeoutMs: number): Promise<InspectorSession | undefined> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, (result: EvaluationResult) => void>();
  let lastId = 0;
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(String(event.data));
    const { exceptionDetails, result } = message.result ?? {};
    const exception = message.error?.message ?? exceptionDetails?.exception?.description ?? exceptionDetails?.text;
    waiting.get(message.id)?.(exception === undefined ? { value: result?.value } : { exception: String(exception) });
    waiting.delete(message.id);
  });
  const opened = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const settle = (value: boolean) => {
      clearTimeout(timer);
      resolve(value);
    };
    socket.addEventListener("open", () => settle(true));
    socket.addEventListener("error", () => settle(false));
    socket.addEventListener("close", () => settle(false));
  });
  if (!opened) {
    socket.close();
    return undefined;
  }
  return {
    evaluate(expression) {
      const id = ++lastId;
      const params = { expression, includeCommandLineAPI: true, returnByValue: true };
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
      });
    },
    close: () => socket.close(),
  };
}
