/** The hotpatches of the catalog: what each closes, whom it is approved for, and how far it is. */
import { Body1, Button, Caption1, makeStyles, Subtitle2, Tag, tokens } from "@fluentui/react-components";
import { useState } from "react";
import type { Approval } from "../api/schemas/approvals.ts";
import type { Hotpatch } from "../api/schemas/hotpatches.ts";
import { hotpatchName, type Standing, standings } from "./action-words.ts";
import { ApproveDialog, ChangeDialog, devicesInWords } from "./dialogs.tsx";
import type { Fleet } from "./fleet-data.ts";
import { effectOfRemoval, standingCounts } from "./fleet-picture.ts";
import { changeLines } from "./hotpatch-changes.ts";
import { Empty, Panel, ProblemNote } from "./panels.tsx";
import { AdvisoryBadge, CountBadge } from "./state-badge.tsx";

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: {
    display: "grid",
    gridTemplateColumns: "minmax(0, 1fr) auto",
    gap: "6px 16px",
    padding: "12px 0",
    ":not(:first-child)": { borderTop: `1px solid ${tokens.colorNeutralStroke2}` },
    "@media (max-width: 480px)": { gridTemplateColumns: "minmax(0, 1fr)" },
  },
  row: { display: "flex", flexWrap: "wrap", gap: "6px 8px", alignItems: "center" },
  name: { margin: 0, overflowWrap: "anywhere" },
  title: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
  approvals: {
    display: "flex",
    flexWrap: "wrap",
    gap: "6px",
    alignItems: "center",
    color: tokens.colorNeutralForeground2,
  },
  full: { gridColumn: "1 / -1", display: "flex", flexWrap: "wrap", gap: "6px 12px", alignItems: "center" },
});

const words: Readonly<Record<Standing, (count: number) => string>> = {
  protected: (count) => `verified on ${count}`,
  waiting: (count) => `under way on ${count}`,
  person: (count) => `needs a person on ${count}`,
  off: (count) => `not in place on ${count}`,
};

export function HotpatchList({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  return (
    <Panel title="Hotpatches">
      {fleet.catalogProblem !== undefined && (
        <ProblemNote title="The catalog cannot be shown." problem={fleet.catalogProblem} />
      )}
      {fleet.catalogProblem === undefined && fleet.hotpatches.length === 0 && (
        <Empty>The catalog lists no hotpatch yet. What `rebootless repo publish` publishes appears here.</Empty>
      )}
      <ul className={styles.list}>
        {fleet.hotpatches.map((hotpatch) => (
          <HotpatchItem key={hotpatch.id} hotpatch={hotpatch} fleet={fleet} />
        ))}
      </ul>
    </Panel>
  );
}

function HotpatchItem({ hotpatch, fleet }: { hotpatch: Hotpatch; fleet: Fleet }) {
  const styles = useStyles();
  const [approving, setApproving] = useState(false);
  // Here rather than in the tag: the dialog outlives the approval that it takes back.
  const [removing, setRemoving] = useState<Approval | undefined>(undefined);
  const [askingRemoval, setAskingRemoval] = useState(false);
  const approvals = fleet.approvals.filter(({ hotpatchId }) => hotpatchId === hotpatch.id);
  const counts = standingCounts(fleet.actions.filter(({ hotpatchId }) => hotpatchId === hotpatch.id));
  const name = hotpatchName(hotpatch, hotpatch.id);
  const everywhere = fleet.groups.every(({ id }) => approvals.some(({ groupId }) => groupId === id));
  return (
    <li className={styles.item} aria-label={name}>
      <HotpatchHead hotpatch={hotpatch} name={name} />
      <div>
        <Button
          disabledFocusable={everywhere}
          onClick={() => setApproving(true)}
          aria-label={everywhere ? undefined : `Approve … ${name}`}
        >
          {everywhere ? "Approved for all groups" : "Approve …"}
        </Button>
      </div>
      <div className={styles.full}>
        {approvals.map((approval) => (
          <ApprovalTag
            key={approval.id}
            approval={approval}
            name={name}
            onTakeBack={() => {
              setRemoving(approval);
              setAskingRemoval(true);
            }}
          />
        ))}
        {approvals.length === 0 && <Caption1 className={styles.approvals}>Not approved for any group</Caption1>}
        {standings
          .filter((standing) => counts.has(standing))
          .map((standing) => (
            <CountBadge key={standing} standing={standing}>
              {words[standing](counts.get(standing) ?? 0)}
            </CountBadge>
          ))}
      </div>
      <ApproveDialog
        open={approving}
        hotpatch={hotpatch}
        groups={fleet.groups}
        approvals={fleet.approvals}
        onClose={() => setApproving(false)}
      />
      {removing !== undefined && (
        <RemovalDialog
          open={askingRemoval}
          approval={removing}
          name={name}
          fleet={fleet}
          onClose={() => setAskingRemoval(false)}
        />
      )}
    </li>
  );
}

function HotpatchHead({ hotpatch, name }: { hotpatch: Hotpatch; name: string }) {
  const styles = useStyles();
  return (
    <div>
      <div className={styles.row}>
        <Subtitle2 as="h3" className={styles.name}>
          {name}
        </Subtitle2>
        {hotpatch.advisories.map((advisory) => (
          <AdvisoryBadge key={advisory.id} {...advisory} />
        ))}
      </div>
      <Body1 as="p" block className={styles.title} style={{ margin: "2px 0 0" }}>
        {hotpatch.title}
      </Body1>
      {changeLines(hotpatch).map((line) => (
        <Caption1 key={line} as="p" block className={styles.title} style={{ margin: "2px 0 0" }}>
          {line}
        </Caption1>
      ))}
    </div>
  );
}

interface ApprovalTagProps {
  readonly approval: Approval;
  readonly name: string;
  onTakeBack(): void;
}

function ApprovalTag({ approval, name, onTakeBack }: ApprovalTagProps) {
  return (
    <span className={useStyles().approvals}>
      <Tag size="small">Approved for {approval.groupId}</Tag>
      <Button
        size="small"
        appearance="subtle"
        onClick={onTakeBack}
        aria-label={`Take back … the approval of ${name} for ${approval.groupId}`}
      >
        Take back …
      </Button>
    </span>
  );
}

interface RemovalDialogProps {
  readonly open: boolean;
  readonly approval: Approval;
  readonly name: string;
  readonly fleet: Fleet;
  onClose(): void;
}

function RemovalDialog({ open, approval, name, fleet, onClose }: RemovalDialogProps) {
  const { withdrawn, staying } = effectOfRemoval(approval, fleet);
  return (
    <ChangeDialog
      open={open}
      title={`Take back the approval for ${approval.groupId}?`}
      confirm="Take back"
      change={{ kind: "take-back", approvalId: approval.id }}
      onClose={onClose}
    >
      <p>
        {name} is withdrawn from {devicesInWords(withdrawn)} on which it has not begun. It stays in place on{" "}
        {devicesInWords(staying)}; there it goes only when it is reverted. You can approve it again.
      </p>
    </ChangeDialog>
  );
}
