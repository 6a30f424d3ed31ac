/** The hotpatches of the catalog: what each closes, whom it is approved for, and how far it is. */
import { Body1, Button, Caption1, makeStyles, Subtitle2, Tag, tokens } from "@fluentui/react-components";
import { useState } from "react";
import type { Approval, Hotpatch } from "../api/schemas.ts";
import { hotpatchName, type Standing, standings } from "./action-words.ts";
import { ApproveDialog, ChangeDialog, devicesInWords } from "./dialogs.tsx";
import type { Fleet } from "./fleet-data.ts";
import { effectOfRemoval, standingCounts } from "./fleet-picture.ts";
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
  const approvals = fleet.approvals.filter(({ hotpatchId }) => hotpatchId === hotpatch.id);
  const counts = standingCounts(fleet.actions.filter(({ hotpatchId }) => hotpatchId === hotpatch.id));
  const name = hotpatchName(hotpatch, hotpatch.id);
  const everywhere = fleet.groups.every(({ id }) => approvals.some(({ groupId }) => groupId === id));
  return (
    <li className={styles.item} aria-label={name}>
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
      </div>
      <div>
        <Button disabled={everywhere} onClick={() => setApproving(true)} aria-label={`Approve ${name}`}>
          {everywhere ? "Approved for all groups" : "Approve …"}
        </Button>
      </div>
      <div className={styles.full}>
        {approvals.map((approval) => (
          <ApprovalTag key={approval.id} approval={approval} name={name} fleet={fleet} />
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
      {approving && (
        <ApproveDialog
          hotpatch={hotpatch}
          groups={fleet.groups}
          approvals={fleet.approvals}
          onClose={() => setApproving(false)}
        />
      )}
    </li>
  );
}

function ApprovalTag({ approval, name, fleet }: { approval: Approval; name: string; fleet: Fleet }) {
  const [asking, setAsking] = useState(false);
  const styles = useStyles();
  const { withdrawn, staying } = effectOfRemoval(approval, fleet);
  return (
    <span className={styles.approvals}>
      <Tag size="small">Approved for {approval.groupId}</Tag>
      <Button
        size="small"
        appearance="subtle"
        onClick={() => setAsking(true)}
        aria-label={`Take back the approval of ${name} for ${approval.groupId}`}
      >
        Take back …
      </Button>
      {asking && (
        <ChangeDialog
          title={`Take back the approval for ${approval.groupId}?`}
          confirm="Take back"
          change={{ kind: "take-back", approvalId: approval.id }}
          onClose={() => setAsking(false)}
        >
          <p>
            {name} is withdrawn from {devicesInWords(withdrawn)} on which it has not begun. It stays in place on{" "}
            {devicesInWords(staying)}; there it goes only when it is reverted. You can approve it again.
          </p>
        </ChangeDialog>
      )}
    </span>
  );
}
