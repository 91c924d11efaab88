import { UnstyledButton } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./DataTable.module.css";

/** A button in the first cell of a table that is the whole row's. */
export function RowButton(props: { onClick: () => void; children: ReactNode }) {
  return (
    <UnstyledButton className={classes.rowButton} data-row onClick={props.onClick}>
      {props.children}
    </UnstyledButton>
  );
}
