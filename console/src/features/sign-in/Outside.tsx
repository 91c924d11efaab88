import { Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import classes from "./Outside.module.css";

/** Around the pages of somebody who is not signed in. */
export function Outside(props: { title: string; lead: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${props.title} · CallMatrix`;
  }, [props.title]);
  return (
    <main className={classes.outside}>
      <div className={classes.box}>
        <img src="/icon.svg" alt="" width={36} height={36} />
        <Title order={1} mt="md">
          {props.title}
        </Title>
        <Text c="dimmed" mb="lg" mt={4}>
          {props.lead}
        </Text>
        {props.children}
      </div>
    </main>
  );
}
