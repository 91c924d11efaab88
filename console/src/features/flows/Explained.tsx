import { Text } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Explained.module.css";

/** What has to be decided before going on, at the foot of the page. */
export function Explained(props: { title: string; text: string; children: ReactNode }) {
  return (
    <div className={classes.explained} role="alert">
      <div>
        <Text fw={600} size="sm">
          {props.title}
        </Text>
        <Text size="sm" c="dimmed">
          {props.text}
        </Text>
      </div>
      <div className={classes.acts}>{props.children}</div>
    </div>
  );
}
