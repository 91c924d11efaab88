import { IconAlertTriangle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { question } from "../../api/client";
import { useName } from "../../api/names";
import { count } from "../../ui/format";
import classes from "./Overview.module.css";

const EVERY_MS = 30_000;

/** What needs somebody: configuration that is not in force, and what the carriers' lane refused or put off. */
export function Alerts() {
  const { data: troubles } = useQuery({ ...question("/api/troubles"), refetchInterval: EVERY_MS });
  const { data: health } = useQuery({ ...question("/healthz"), refetchInterval: EVERY_MS });
  const told: { key: string; text: ReactNode }[] = Object.entries(troubles?.troubles ?? {}).map(([id, why]) => ({
    key: id,
    text: <Trouble id={id} why={why} />,
  }));
  if (health !== undefined && health.bad_signatures > 0)
    told.push({ key: "signatures", text: `${count(health.bad_signatures)} webhooks had a wrong signature since the server started: check the connections’ secrets.` });
  if (health !== undefined && health.failed_safe > 0)
    told.push({ key: "failed", text: `${count(health.failed_safe)} webhooks were answered by the fail-safe since the server started; the server’s log says why.` });
  if (health !== undefined && health.shed > 0)
    told.push({ key: "shed", text: `${count(health.shed)} callers heard the fail-safe because too many came at once.` });
  if (told.length === 0) return null;
  return (
    <section aria-label="Alerts" className={classes.alerts}>
      {told.map((one) => (
        <div key={one.key} className={classes.alert}>
          <IconAlertTriangle size={17} aria-hidden />
          <span>{one.text}</span>
        </div>
      ))}
    </section>
  );
}

function Trouble({ id, why }: { id: string; why: string }) {
  const name = useName(id);
  return (
    <>
      <b>{name ?? id}</b> is saved but not in force: {why}
    </>
  );
}
