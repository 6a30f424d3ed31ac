/** The one page: the summary at the top, then what there is and what happens. */
import {
  Badge,
  Body1,
  Button,
  LargeTitle,
  MessageBar,
  MessageBarBody,
  MessageBarTitle,
  makeStyles,
  Subtitle1,
  Title3,
  tokens,
} from "@fluentui/react-components";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ActionList } from "./action-list.tsx";
import { ask } from "./api-client.ts";
import { DeviceList } from "./device-list.tsx";
import { type Fleet, useFleet } from "./fleet-data.ts";
import { fleetPicture } from "./fleet-picture.ts";
import { HotpatchList } from "./hotpatch-list.tsx";
import { type Connection, useLiveEvents } from "./live-events.ts";
import { Logo } from "./logo.tsx";
import { Loading, Panel, ProblemNote } from "./panels.tsx";
import { PasswordForm } from "./password-form.tsx";
import { Timeline } from "./timeline.tsx";

const useStyles = makeStyles({
  page: {
    color: tokens.colorNeutralForeground1,
    maxWidth: "1440px",
    margin: "0 auto",
    padding: "16px 24px 48px",
    boxSizing: "border-box",
    "@media (max-width: 480px)": { padding: "10px 10px 32px" },
  },
  header: {
    display: "flex",
    alignItems: "center",
    gap: "8px 12px",
    marginBottom: "16px",
    "@media (max-width: 480px)": { gap: "6px" },
  },
  title: { margin: 0, flexGrow: 1, "@media (max-width: 480px)": { fontSize: tokens.fontSizeBase500 } },
  tiles: {
    display: "grid",
    gap: "12px",
    gridTemplateColumns: "repeat(3, minmax(0, 1fr))",
    margin: "0 0 16px",
    "@media (max-width: 640px)": { gridTemplateColumns: "minmax(0, 1fr)", gap: "8px" },
  },
  tile: {
    backgroundColor: tokens.colorNeutralBackground1,
    borderRadius: tokens.borderRadiusXLarge,
    boxShadow: tokens.shadow4,
    padding: "14px 20px",
    "@media (max-width: 640px)": {
      display: "grid",
      gridTemplateColumns: "minmax(0, 1fr) auto",
      alignItems: "center",
      padding: "8px 14px",
    },
  },
  figure: { "@media (max-width: 640px)": { fontSize: tokens.fontSizeHero700, lineHeight: tokens.lineHeightHero700 } },
  signOut: { whiteSpace: "nowrap", minWidth: "auto" },
  quiet: { color: tokens.colorNeutralForeground2 },
  columns: {
    display: "grid",
    gap: "16px",
    gridTemplateColumns: "minmax(0, 3fr) minmax(0, 2fr)",
    alignItems: "start",
    "@media (max-width: 1000px)": { gridTemplateColumns: "minmax(0, 1fr)" },
  },
  column: { display: "grid", gap: "16px", minWidth: 0 },
  banner: { marginBottom: "16px" },
  alone: { maxWidth: "560px", margin: "10vh auto 0" },
  code: {
    fontFamily: tokens.fontFamilyMonospace,
    backgroundColor: tokens.colorNeutralBackground3,
    padding: "8px 12px",
    borderRadius: tokens.borderRadiusMedium,
    overflowX: "auto",
    display: "block",
    margin: "8px 0",
  },
});

export function App() {
  const styles = useStyles();
  const live = useLiveEvents();
  const fleet = useFleet();
  const signedOut = live.connection === "signed-out" || fleet.error?.status === 401;
  if (signedOut) return <SignedOut />;
  return (
    <div className={styles.page}>
      <Header connection={live.connection} />
      <main>
        {live.connection === "broken" && (
          <MessageBar intent="warning" layout="multiline" className={styles.banner}>
            <MessageBarBody>
              <MessageBarTitle>The connection to the server is broken.</MessageBarTitle> What is shown may be old. The
              devices go on by themselves; this page goes on from where it was once the server answers.
            </MessageBarBody>
          </MessageBar>
        )}
        {fleet.data === undefined && fleet.error === null && <Loading what="the fleet" />}
        {fleet.error !== null && fleet.error.code !== "page/offline" && (
          <div className={styles.banner}>
            <ProblemNote title="The fleet cannot be shown." problem={fleet.error} />
          </div>
        )}
        {fleet.data !== undefined && (
          <>
            <Summary fleet={fleet.data} />
            <div className={styles.columns}>
              <div className={styles.column}>
                <ActionList fleet={fleet.data} />
                <HotpatchList fleet={fleet.data} />
              </div>
              <div className={styles.column}>
                <DeviceList fleet={fleet.data} />
                <Timeline live={live} fleet={fleet.data} />
              </div>
            </div>
          </>
        )}
      </main>
    </div>
  );
}

const connectionWords = {
  connecting: { color: "informative", label: "Connecting …" },
  live: { color: "success", label: "Live" },
  broken: { color: "warning", label: "Reconnecting …" },
  "signed-out": { color: "informative", label: "Signed out" },
} as const satisfies Record<Connection, object>;

function Header({ connection }: { connection: Connection }) {
  const styles = useStyles();
  const client = useQueryClient();
  const [failed, setFailed] = useState(false);
  const { color, label } = connectionWords[connection];
  const signOut = () =>
    ask("DELETE", "/v1/session").then(
      () => client.resetQueries(),
      () => setFailed(true),
    );
  return (
    <header className={styles.header}>
      <Logo />
      <Title3 as="h1" className={styles.title}>
        Rebootless
      </Title3>
      <span role="status">
        <Badge appearance="tint" color={color} size="large" data-connection={connection}>
          {label}
        </Badge>
      </span>
      <Button appearance="subtle" onClick={signOut} className={styles.signOut}>
        {failed ? "Sign out (failed, try again)" : "Sign out"}
      </Button>
    </header>
  );
}

function Summary({ fleet }: { fleet: Fleet }) {
  const styles = useStyles();
  const { protectedDevices, coveredDevices, waiting, needsPerson } = fleetPicture(fleet.devices, fleet.actions);
  return (
    <section className={styles.tiles} aria-label="Summary">
      <Tile
        title="Protected devices"
        more={
          coveredDevices === 0
            ? "nothing is approved for a device"
            : `of ${coveredDevices} that a hotpatch is meant for`
        }
      >
        {String(protectedDevices)}
      </Tile>
      <Tile title="Under way" more="actions that devices work on, or wait with">
        {String(waiting.length)}
      </Tile>
      <Tile title="Needs a person" more="actions that were refused or failed">
        {String(needsPerson.length)}
      </Tile>
    </section>
  );
}

function Tile({ title, more, children }: { title: string; more: string; children: string }) {
  const styles = useStyles();
  return (
    <div className={styles.tile} data-tile={title}>
      <Subtitle1 as="h2" block style={{ margin: 0 }}>
        {title}
      </Subtitle1>
      <LargeTitle block className={styles.figure}>
        {children}
      </LargeTitle>
      <Body1 className={styles.quiet}>{more}</Body1>
    </div>
  );
}

const refusals: Readonly<Record<string, string>> = {
  "access/person-unknown": "Nobody has added you here yet; ask an administrator to.",
  "access/person-disabled": "You are disabled here; an administrator can enable you.",
  "access/provider-refused": "Your organisation's sign-in did not let you in, or did not say who you are.",
  "access/sign-in-expired": "This sign-in took too long, or was begun elsewhere; begin anew.",
  "server/provider-away": "Your organisation's sign-in does not answer at the moment.",
};

/** The code may be anything that somebody put into an address. */
function refusedSentence(code: string): string {
  return Object.hasOwn(refusals, code) ? String(refusals[code]) : "You were not let in; try again.";
}

function SignedOut() {
  const styles = useStyles();
  const { linkRefused = false, refused } = (history.state ?? {}) as { linkRefused?: boolean; refused?: string };
  const methods = useQuery({
    queryKey: ["sign-in-methods"],
    queryFn: () => ask("GET", "/v1/sign-in/methods"),
    staleTime: 60_000,
  });
  return (
    <div className={styles.page}>
      <main className={styles.alone}>
        <Title3 as="h1" block style={{ marginBottom: "16px" }}>
          Rebootless
        </Title3>
        {linkRefused && (
          <MessageBar intent="warning" layout="multiline" className={styles.banner}>
            <MessageBarBody>
              This link was used before, or has expired. A link works once and for 15 minutes.
            </MessageBarBody>
          </MessageBar>
        )}
        {refused !== undefined && (
          <MessageBar intent="warning" layout="multiline" className={styles.banner}>
            <MessageBarBody>{refusedSentence(refused)}</MessageBarBody>
          </MessageBar>
        )}
        <Panel title="You are signed out">
          {methods.data?.oidc === true && (
            <p>
              <Button appearance="primary" onClick={() => location.assign("/v1/sign-in/oidc")}>
                Sign in with your organisation
              </Button>
            </p>
          )}
          {methods.data?.password === true && <PasswordForm />}
          <Body1 as="p">On the machine where the server runs, as the user who runs it, type</Body1>
          <code className={styles.code}>rebootless server sign-in-link</code>
          <Body1 as="p" block style={{ marginBottom: "16px" }}>
            and open the link that it prints. It works once and for 15 minutes.
          </Body1>
          <Button appearance="primary" onClick={() => location.assign("/")}>
            Look again
          </Button>
        </Panel>
      </main>
    </div>
  );
}
