/** The actions: each hotpatch on each device, how far it is, and what a person may ask of it. */
import { Body1, Button, Caption1, makeStyles, Subtitle2, tokens } from "@fluentui/react-components";
import { useState } from "react";
import type { Action, AdministratorEvent } from "../api/schemas/actions.ts";
import { hotpatchName, possibleRequests } from "./action-words.ts";
import { ChangeDialog } from "./dialogs.tsx";
import type { Fleet } from "./fleet-data.ts";
import { byUrgency } from "./fleet-picture.ts";
import { Moment } from "./moment.tsx";
import { Empty, Panel } from "./panels.tsx";
import { outcomeLines, type WithOutcomes } from "./process-outcomes.ts";
import { StateBadge } from "./state-badge.tsx";

const shownFirst = 25;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: {
    display: "grid",
    gridTemplateColumns: "minmax(0, 1fr) 90px 212px",
    gap: "4px 16px",
    alignItems: "center",
    padding: "10px 0",
    ":not(:first-child)": { borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
    "@media (max-width: 480px)": { gridTemplateColumns: "minmax(0, 1fr) auto" },
  },
  name: { overflowWrap: "anywhere", margin: 0 },
  quiet: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
  reason: { color: tokens.colorNeutralForeground1, overflowWrap: "anywhere", margin: "4px 0 0" },
  buttons: {
    display: "flex",
    gap: "6px",
    justifyContent: "flex-end",
    whiteSpace: "nowrap",
    "@media (max-width: 480px)": { gridColumn: "1 / -1", justifyContent: "flex-start" },
  },
});

export function ActionList({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const [all, setAll] = useState(false);
  const sorted = byUrgency(fleet.actions);
  const shown = all ? sorted : sorted.slice(0, shownFirst);
  return (
    <Panel title="Actions">
      {sorted.length === 0 && (
        <Empty>Nothing to do. Approving a hotpatch makes an action for each device of the group.</Empty>
      )}
      <ul className={styles.list}>
        {shown.map((action) => (
          <ActionItem key={action.id} action={action} fleet={fleet} />
        ))}
      </ul>
      {shown.length < sorted.length && <Button onClick={() => setAll(true)}>Show all {sorted.length}</Button>}
    </Panel>
  );
}

const buttonWords: Readonly<Record<AdministratorEvent, string>> = {
  revert: "Revert …",
  offer: "Offer again …",
  withdraw: "Withdraw …",
};

function ActionItem({ action, fleet }: { action: Action; fleet: Fleet }) {
  const styles = useStyles();
  const [asked, setAsked] = useState<AdministratorEvent | undefined>(undefined);
  const [open, setOpen] = useState(false);
  const device = fleet.devices.find(({ id }) => id === action.deviceId);
  const hotpatch = fleet.hotpatches.find(({ id }) => id === action.hotpatchId);
  const names = { device: device?.name ?? action.deviceId, hotpatch: hotpatchName(hotpatch, action.hotpatchId) };
  const advisories = hotpatch?.advisories.map(({ id }) => id).join(", ") ?? "";
  // What is asked of a device that was cut off never arrives.
  const requests = device?.state === "enrolled" ? possibleRequests(action) : [];
  return (
    <li className={styles.item} aria-label={`${names.hotpatch} on ${names.device}`} data-action={action.id}>
      <div>
        <Subtitle2 as="h3" block className={styles.name}>
          {names.hotpatch}
        </Subtitle2>
        <Caption1 className={styles.quiet}>
          on {names.device}
          {device?.state === "revoked" ? " (cut off)" : ""} · <Moment at={action.changedAt} show="ago" />
        </Caption1>
        {outcomeLines(action as Action & WithOutcomes).map((line) => (
          <Caption1 key={line} block className={styles.quiet}>
            {line}
          </Caption1>
        ))}
        {action.reason !== "" && (
          <Body1 as="p" block className={styles.reason}>
            {action.reason}
          </Body1>
        )}
      </div>
      <div>
        <StateBadge state={action.state} />
      </div>
      <div className={styles.buttons}>
        {requests.map((event, place) => (
          <Button
            // By its place: the focus stays where it was when what can be asked changes.
            key={place === 0 ? "first" : "second"}
            size="small"
            onClick={() => {
              setAsked(event);
              setOpen(true);
            }}
            aria-label={`${buttonWords[event]} ${names.hotpatch} on ${names.device}`}
          >
            {buttonWords[event]}
          </Button>
        ))}
      </div>
      {asked !== undefined && (
        <RequestDialog
          open={open}
          action={action}
          event={asked}
          names={{ ...names, advisories }}
          onClose={() => setOpen(false)}
        />
      )}
    </li>
  );
}

interface RequestDialogProps {
  readonly open: boolean;
  readonly action: Action;
  readonly event: AdministratorEvent;
  readonly names: { readonly device: string; readonly hotpatch: string; readonly advisories: string };
  onClose(): void;
}

function RequestDialog({ open, action, event, names, onClose }: RequestDialogProps) {
  const { title, confirm, what } = requestWords(event, names);
  return (
    <ChangeDialog
      open={open}
      title={title}
      confirm={confirm}
      change={{ kind: "request", actionId: action.id, event }}
      onClose={onClose}
    >
      <p>{what}</p>
    </ChangeDialog>
  );
}

function requestWords(event: AdministratorEvent, { device, hotpatch, advisories }: RequestDialogProps["names"]) {
  switch (event) {
    case "revert": {
      const open = advisories === "" ? "What it closes is open again." : `${advisories} is open again there.`;
      return {
        title: `Revert ${hotpatch} on ${device}?`,
        confirm: "Revert",
        what: `On this 1 device, the old code goes back into every process that has the hotpatch, without a restart. ${open} The device keeps off it until you offer it again.`,
      };
    }
    case "offer":
      return {
        title: `Offer ${hotpatch} to ${device} again?`,
        confirm: "Offer again",
        what: "This 1 device fetches, applies and verifies it once more. If what was in the way is still there, it will say so again.",
      };
    case "withdraw":
      return {
        title: `Withdraw ${hotpatch} from ${device}?`,
        confirm: "Withdraw",
        what: "This 1 device is not patched with it until you offer it again. The approval for its groups stays.",
      };
  }
}
