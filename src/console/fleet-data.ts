/** The lists that the page shows, kept by TanStack Query; the stream of events says when to look again. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { Answered } from "../api/routes.ts";
import type { Action, AdministratorEvent } from "../api/schemas/actions.ts";
import type { Approval } from "../api/schemas/approvals.ts";
import type { Device } from "../api/schemas/devices.ts";
import type { Group } from "../api/schemas/groups.ts";
import type { Hotpatch } from "../api/schemas/hotpatches.ts";
import { ask, askAll, ProblemError } from "./api-client.ts";

export interface Fleet {
  readonly devices: readonly Device[];
  readonly hotpatches: readonly Hotpatch[];
  /** Why the catalog cannot be read, where that is so; the rest of the page goes on. */
  readonly catalogProblem: ProblemError | undefined;
  readonly groups: readonly Group[];
  readonly approvals: readonly Approval[];
  readonly actions: readonly Action[];
}

async function catalog(): Promise<Pick<Fleet, "hotpatches" | "catalogProblem">> {
  try {
    const hotpatches = await askAll((query) => ask("GET", "/v1/hotpatches", { query }));
    return { hotpatches, catalogProblem: undefined };
  } catch (error) {
    if (!(error instanceof ProblemError) || error.status === 401 || error.code === "page/offline") throw error;
    return { hotpatches: [], catalogProblem: error };
  }
}

async function readFleet(): Promise<Fleet> {
  const [devices, listed, groups, approvals, actions] = await Promise.all([
    askAll<Device>((query) => ask("GET", "/v1/devices", { query })),
    catalog(),
    askAll<Group>((query) => ask("GET", "/v1/groups", { query })),
    askAll<Approval>((query) => ask("GET", "/v1/approvals", { query: { ...query, action: "install" } })),
    askAll<Action>((query) => ask("GET", "/v1/actions", { query })),
  ]);
  return { devices, groups, approvals, actions, ...listed };
}

/** The catalog changes without an event, and `lastSeenAt` as well; so there is a slow look besides. */
const slowLookMs = 30_000;

export function useFleet() {
  return useQuery<Fleet, ProblemError>({
    queryKey: ["fleet"],
    queryFn: readFleet,
    refetchInterval: slowLookMs,
  });
}

/** Looked at once for each revision of a device's facts. */
export function useFacts({ id, factsRevision }: Device) {
  return useQuery<Answered<"getFacts">, ProblemError>({
    queryKey: ["facts", id, factsRevision],
    queryFn: () => ask("GET", "/v1/devices/{deviceId}/facts", { params: { deviceId: id } }),
    enabled: factsRevision > 0,
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: (before) => before,
  });
}

export type Change =
  | { readonly kind: "approve"; readonly hotpatchId: string; readonly groupId: string }
  | { readonly kind: "take-back"; readonly approvalId: string }
  | { readonly kind: "request"; readonly actionId: string; readonly event: AdministratorEvent };

async function carryOut(change: Change): Promise<void> {
  switch (change.kind) {
    case "approve": {
      const { hotpatchId, groupId } = change;
      await ask("POST", "/v1/approvals", { body: { hotpatchId, groupId } });
      return;
    }
    case "take-back":
      await ask("DELETE", "/v1/approvals/{approvalId}", { params: { approvalId: change.approvalId } });
      return;
    case "request": {
      const { actionId, event } = change;
      await ask("POST", "/v1/actions/{actionId}/requests", { params: { actionId }, body: { event } });
      return;
    }
  }
}

/** A change that a person asked for; what it led to is looked at before it counts as done. */
export function useChange(onDone: () => void) {
  const client = useQueryClient();
  return useMutation<void, ProblemError, Change>({
    mutationFn: carryOut,
    onSuccess: onDone,
    onSettled: () => client.invalidateQueries({ queryKey: ["fleet"] }),
  });
}
