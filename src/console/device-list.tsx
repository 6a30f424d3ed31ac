/** The devices: who they are, when they were heard of, what they told of themselves. */
import { Badge, Button, Caption1, makeStyles, Subtitle2, tokens } from "@fluentui/react-components";
import { useState } from "react";
import type { Device } from "../api/schemas/devices.ts";
import { type Standing, standings } from "./action-words.ts";
import { factLines } from "./fact-lines.ts";
import { type Fleet, useFacts } from "./fleet-data.ts";
import { standingCounts } from "./fleet-picture.ts";
import { Moment } from "./moment.tsx";
import { Empty, Panel } from "./panels.tsx";
import { CountBadge } from "./state-badge.tsx";

const shownFirst = 25;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: { padding: "10px 0", ":not(:first-child)": { borderTop: `1px solid ${tokens.colorNeutralStroke2}` } },
  row: { display: "flex", flexWrap: "wrap", gap: "4px 10px", alignItems: "center" },
  name: { margin: 0, overflowWrap: "anywhere", minWidth: 0 },
  quiet: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
});

const words: Readonly<Record<Standing, (count: number) => string>> = {
  protected: (count) => `${count} verified`,
  waiting: (count) => `${count} under way`,
  person: (count) => `${count} ${count === 1 ? "needs" : "need"} a person`,
  off: (count) => `${count} not in place`,
};

export function DeviceList({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const [all, setAll] = useState(false);
  const sorted = fleet.devices.toSorted((left, right) => left.name.localeCompare(right.name));
  const shown = all ? sorted : sorted.slice(0, shownFirst);
  return (
    <Panel title="Devices">
      {sorted.length === 0 && (
        <Empty>No machine is enrolled yet. `rebootless server token` makes a token that enrols one.</Empty>
      )}
      <ul className={styles.list}>
        {shown.map((device) => (
          <DeviceItem key={device.id} device={device} fleet={fleet} />
        ))}
      </ul>
      {shown.length < sorted.length && <Button onClick={() => setAll(true)}>Show all {sorted.length}</Button>}
    </Panel>
  );
}

function DeviceItem({ device, fleet }: { device: Device; fleet: Fleet }) {
  const styles = useStyles();
  const facts = useFacts(device);
  const counts = standingCounts(fleet.actions.filter(({ deviceId }) => deviceId === device.id));
  return (
    <li className={styles.item} aria-label={device.name}>
      <div className={styles.row}>
        <Subtitle2 as="h3" className={styles.name}>
          {device.name}
        </Subtitle2>
        {device.state === "revoked" && (
          <Badge appearance="outline" color="danger">
            Cut off
          </Badge>
        )}
        {standings
          .filter((standing) => counts.has(standing))
          .map((standing) => (
            <CountBadge key={standing} standing={standing}>
              {words[standing](counts.get(standing) ?? 0)}
            </CountBadge>
          ))}
      </div>
      <Caption1 block className={styles.quiet}>
        {device.lastSeenAt === null ? (
          "Never heard of since it was enrolled"
        ) : (
          <>
            Last seen <Moment at={device.lastSeenAt} show="ago" />
          </>
        )}
        {" · "}
        {device.groups.length === 1 ? "group" : "groups"} {device.groups.join(", ")}
      </Caption1>
      {factLines(facts.data?.facts ?? {}).map((line) => (
        <Caption1 key={line} block className={styles.quiet}>
          {line}
        </Caption1>
      ))}
    </li>
  );
}
