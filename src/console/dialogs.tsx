/** Dialogs that say what a change will do before it is done. */
import {
  Button,
  Dialog,
  DialogActions,
  DialogBody,
  DialogContent,
  DialogSurface,
  DialogTitle,
  Field,
  Select,
} from "@fluentui/react-components";
import { type ReactNode, useState } from "react";
import type { Approval } from "../api/schemas/approvals.ts";
import type { Group } from "../api/schemas/groups.ts";
import type { Hotpatch } from "../api/schemas/hotpatches.ts";
import { hotpatchName } from "./action-words.ts";
import { type Change, useChange } from "./fleet-data.ts";
import { ProblemNote } from "./panels.tsx";

export function devicesInWords(count: number): string {
  return count === 1 ? "1 device" : `${count} devices`;
}

interface ChangeDialogProps {
  /** Closed rather than taken away, so that the focus goes back to where it came from and the page is reachable again. */
  readonly open: boolean;
  readonly title: string;
  readonly confirm: string;
  readonly change: Change;
  readonly children: ReactNode;
  onClose(): void;
}

/** Stays open with the reason where the server declines. */
export function ChangeDialog({ open, title, confirm, change, children, onClose }: ChangeDialogProps) {
  const { mutate, reset, isPending, error } = useChange(onClose);
  const close = () => {
    reset();
    onClose();
  };
  return (
    <Dialog open={open} onOpenChange={(_, { open: wanted }) => !wanted && close()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{title}</DialogTitle>
          <DialogContent>
            {children}
            {error !== null && <ProblemNote title="Not done." problem={error} />}
          </DialogContent>
          <DialogActions>
            <Button appearance="secondary" onClick={close}>
              Cancel
            </Button>
            <Button appearance="primary" disabledFocusable={isPending} onClick={() => mutate(change)}>
              {confirm}
            </Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}

interface ApproveDialogProps {
  readonly open: boolean;
  readonly hotpatch: Hotpatch;
  readonly groups: readonly Group[];
  readonly approvals: readonly Approval[];
  onClose(): void;
}

export function ApproveDialog({ open, hotpatch, groups, approvals, onClose }: ApproveDialogProps) {
  const taken = new Set(approvals.filter((a) => a.hotpatchId === hotpatch.id).map(({ groupId }) => groupId));
  const free = groups.filter(({ id }) => !taken.has(id));
  const [chosen, setChosen] = useState("all");
  const group = free.find(({ id }) => id === chosen) ?? free[0];
  const groupId = group?.id ?? chosen;
  return (
    <ChangeDialog
      open={open}
      title={`Approve ${hotpatchName(hotpatch, hotpatch.id)}`}
      confirm="Approve"
      change={{ kind: "approve", hotpatchId: hotpatch.id, groupId }}
      onClose={onClose}
    >
      <Field label="For the group">
        <Select value={groupId} onChange={(_, { value }) => setChosen(value)}>
          {free.map(({ id, title, devices }) => (
            <option key={id} value={id}>
              {title === id ? id : `${title} (${id})`}: {devicesInWords(devices)}
            </option>
          ))}
        </Select>
      </Field>
      <p>
        It is offered to the {devicesInWords(group?.devices ?? 0)} of this group now, and to every device that joins it
        later. The running processes are patched in memory; nothing is restarted, and it can be taken back.
      </p>
    </ChangeDialog>
  );
}
