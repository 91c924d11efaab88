import { Text } from "@mantine/core";
import { useAccount } from "../api/session";
import { instant, isZero, money, phone, type TimeStyle, words } from "./format";
import classes from "./Values.module.css";

/** An amount in the account's currency; nothing is a dash, zero is quiet. */
export function Money(props: { amount: string | null | undefined; round?: "cents" | "whole"; signed?: boolean }) {
  const { currency } = useAccount();
  if (props.amount === null || props.amount === undefined) return <Nothing />;
  const text = money(props.amount, currency, props.round);
  const negative = props.amount.startsWith("-");
  return (
    <span
      className={`cm-number ${isZero(props.amount) ? classes.quiet : ""} ${props.signed === true && negative ? classes.bad : ""}`}
    >
      {text}
    </span>
  );
}

/** An instant in the account's zone; the whole of it, with the zone, is told on hovering. */
export function When(props: { at: string | null | undefined; style?: TimeStyle }) {
  const { timeZone } = useAccount();
  if (props.at === null || props.at === undefined) return <Nothing />;
  return (
    <time dateTime={props.at} title={`${instant(props.at, timeZone, "full")} ${timeZone}`}>
      {instant(props.at, timeZone, props.style ?? "short")}
    </time>
  );
}

/** The zone that a page's times are in. */
export function Zone() {
  const { timeZone } = useAccount();
  return (
    <Text span size="xs" c="dimmed" title="The account’s time zone; all times are in it">
      {timeZone.replaceAll("_", " ")}
    </Text>
  );
}

/** A phone number. */
export function Phone(props: { number: string | null | undefined }) {
  if (props.number === null || props.number === undefined) return <span className={classes.quiet}>Anonymous</span>;
  return <span className={`cm-number ${classes.whole}`}>{phone(props.number)}</span>;
}

/** What is not there. */
export function Nothing() {
  return (
    <span className={classes.quiet} aria-label="none">
      –
    </span>
  );
}

export type Tone = "good" | "warn" | "bad" | "info" | "rest";

/** A state: a dot in a colour that means the same everywhere, and the word. */
export function Status(props: { tone: Tone; children: React.ReactNode; pulse?: boolean }) {
  return (
    <span className={classes.status}>
      <span className={classes.dot} data-tone={props.tone} data-pulse={props.pulse === true || undefined} aria-hidden />
      {typeof props.children === "string" ? words(props.children) : props.children}
    </span>
  );
}

const TONES: Record<string, Tone> = {
  live: "good",
  active: "good",
  assigned: "good",
  available: "info",
  draft: "info",
  scheduled: "info",
  paused: "warn",
  cooldown: "warn",
  archived: "rest",
  disabled: "rest",
  closed: "rest",
};

/** The state of a record of the configuration: `live`, `paused`, `archived` and the like. */
export function RecordStatus(props: { status: string }) {
  return <Status tone={TONES[props.status] ?? "rest"}>{props.status}</Status>;
}
