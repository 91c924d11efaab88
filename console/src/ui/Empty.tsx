import { Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Empty.module.css";

/** An empty place that says what belongs there and how to put it there. */
export function Empty(props: { icon: ReactNode; title: string; children?: ReactNode; action?: ReactNode; small?: boolean }) {
  return (
    <div className={classes.empty} data-small={props.small || undefined}>
      <div className={classes.icon} aria-hidden>
        {props.icon}
      </div>
      <Text fw={600}>{props.title}</Text>
      {props.children !== undefined && (
        <Text c="dimmed" size="sm" maw={440} component="div">
          {props.children}
        </Text>
      )}
      {props.action !== undefined && <div className={classes.action}>{props.action}</div>}
    </div>
  );
}
