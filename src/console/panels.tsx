/** The frames that the parts of the page stand in: a section with its heading, a note where there is nothing, a problem with what to do. */
import {
  Body1,
  MessageBar,
  MessageBarBody,
  MessageBarTitle,
  makeStyles,
  Spinner,
  Subtitle1,
  tokens,
} from "@fluentui/react-components";
import { type ReactNode, useId } from "react";
import type { ProblemError } from "./api-client.ts";

const useStyles = makeStyles({
  panel: {
    backgroundColor: tokens.colorNeutralBackground1,
    borderRadius: tokens.borderRadiusXLarge,
    boxShadow: tokens.shadow4,
    padding: "16px 20px",
    "@media (max-width: 480px)": { padding: "14px 14px" },
    minWidth: 0,
  },
  head: {
    display: "flex",
    alignItems: "center",
    justifyContent: "space-between",
    gap: "8px 16px",
    flexWrap: "wrap",
    minHeight: "32px",
    marginBottom: "8px",
  },
  title: { margin: 0 },
  empty: { color: tokens.colorNeutralForeground2, padding: "8px 0" },
  loading: { justifyContent: "flex-start", padding: "8px 0" },
  code: { fontFamily: tokens.fontFamilyMonospace, overflowWrap: "anywhere" },
});

export function Panel({ title, extra, children }: { title: string; extra?: ReactNode; children: ReactNode }) {
  const styles = useStyles();
  const id = useId();
  return (
    <section className={styles.panel} aria-labelledby={id}>
      <div className={styles.head}>
        <Subtitle1 as="h2" id={id} className={styles.title}>
          {title}
        </Subtitle1>
        {extra}
      </div>
      {children}
    </section>
  );
}

/** Commands stand between backticks. */
export function Empty({ children }: { children: string }) {
  const styles = useStyles();
  return (
    <Body1 as="p" block className={styles.empty} style={{ margin: 0 }}>
      {children.split("`").map((part, place) =>
        place % 2 === 0 ? (
          part
        ) : (
          <code key={part} className={styles.code}>
            {part}
          </code>
        ),
      )}
    </Body1>
  );
}

export function Loading({ what }: { what: string }) {
  return <Spinner size="tiny" label={`Loading ${what} …`} className={useStyles().loading} />;
}

export function ProblemNote({ title, problem }: { title: string; problem: ProblemError }) {
  const styles = useStyles();
  return (
    <MessageBar intent="error" layout="multiline">
      <MessageBarBody>
        <MessageBarTitle>{title}</MessageBarTitle> {problem.message}{" "}
        <span className={styles.code}>({problem.code})</span>
      </MessageBarBody>
    </MessageBar>
  );
}
