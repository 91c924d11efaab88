import { Avatar, UnstyledButton } from "@mantine/core";
import { IconSelector } from "@tabler/icons-react";
import type { ComponentPropsWithRef } from "react";
import { useAccount, useMe } from "../api/session";
import { words } from "../ui/format";
import classes from "./Shell.module.css";

/** Who is signed in, and where. */
export function AccountButton(props: ComponentPropsWithRef<"button">) {
  const { name, role } = useMe();
  const account = useAccount();
  return (
    <UnstyledButton {...props} className={classes.account}>
      <Avatar size={28} radius="md" color="indigo" variant="filled" aria-hidden>
        {account.name.slice(0, 1).toUpperCase()}
      </Avatar>
      <span className={classes.names}>
        <span className="cm-clip">{account.name}</span>
        <span className={`cm-clip ${classes.role}`}>
          {name} · {words(role)}
        </span>
      </span>
      <IconSelector size={15} aria-hidden />
    </UnstyledButton>
  );
}
