/** What happened, newest first, in sentences. */
import { Body1, Caption1, makeStyles, mergeClasses, Switch, tokens } from "@fluentui/react-components";
import { useState } from "react";
import type { Event } from "../api/schemas/events.ts";
import { hotpatchName } from "./action-words.ts";
import { eventSentence, type Names, type Sentence } from "./event-sentence.ts";
import type { Fleet } from "./fleet-data.ts";
import type { LiveEvents } from "./live-events.ts";
import { Moment } from "./moment.tsx";
import { Empty, Loading, Panel } from "./panels.tsx";

const shown = 60;

const useStyles = makeStyles({
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: { display: "grid", gridTemplateColumns: "12px minmax(0, 1fr)", columnGap: "10px", padding: "6px 0" },
  dot: {
    width: "10px",
    height: "10px",
    borderRadius: "50%",
    marginTop: "5px",
    backgroundColor: tokens.colorNeutralStroke1,
  },
  protected: { backgroundColor: tokens.colorPaletteGreenBackground3 },
  waiting: { backgroundColor: tokens.colorBrandBackground },
  person: { backgroundColor: tokens.colorPaletteRedBackground3 },
  off: {},
  plain: {},
  text: { overflowWrap: "anywhere" },
  quiet: { color: tokens.colorNeutralForeground2, overflowWrap: "anywhere" },
});

export function Timeline({ live, fleet }: { live: LiveEvents; fleet: Fleet }) {
  const styles = useStyles();
  const [everyStep, setEveryStep] = useState(false);
  const names = namesOf(fleet);
  const told = live.events
    .map((event) => ({ event, sentence: eventSentence(event, names) }))
    .filter(({ sentence }) => everyStep || !sentence.step)
    .slice(0, shown);
  return (
    <Panel
      title="Timeline"
      extra={<Switch label="Every step" checked={everyStep} onChange={(_, { checked }) => setEveryStep(checked)} />}
    >
      {told.length === 0 && (live.loaded ? <Empty>Nothing has happened yet.</Empty> : <Loading what="the events" />)}
      <ol className={styles.list}>
        {told.map(({ event, sentence }) => (
          <TimelineItem key={event.sequence} event={event} sentence={sentence} />
        ))}
      </ol>
    </Panel>
  );
}

function TimelineItem({ event, sentence }: { event: Event; sentence: Sentence }) {
  const styles = useStyles();
  return (
    <li className={styles.item} data-sequence={event.sequence}>
      <span className={mergeClasses(styles.dot, styles[sentence.tone])} aria-hidden="true" />
      <div>
        <Body1 block className={styles.text}>
          {sentence.text}
        </Body1>
        <Caption1 block className={styles.quiet}>
          <Moment at={event.at} show="clock" />
          {sentence.reason === undefined ? "" : ` · ${sentence.reason}`}
        </Caption1>
      </div>
    </li>
  );
}

function namesOf({ devices, hotpatches }: Fleet): Names {
  const deviceNames = new Map(devices.map(({ id, name }) => [id, name]));
  const byId = new Map(hotpatches.map((hotpatch) => [hotpatch.id, hotpatch]));
  return {
    device: (id) => deviceNames.get(id) ?? id,
    hotpatch: (id) => hotpatchName(byId.get(id), id),
  };
}
