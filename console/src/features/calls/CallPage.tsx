import { Group, Skeleton, Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { useMay } from "../../api/session";
import { ErrorNote } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { Page } from "../../ui/Page";
import { Attempts } from "./Attempts";
import { CallActs } from "./CallActs";
import { CallFacts } from "./CallFacts";
import { CallMoney } from "./CallMoney";
import { CallState } from "../../ui/CallState";
import { Timeline } from "./Timeline";
import classes from "./Call.module.css";

/** One call: what happened step by step, why it went where it went, and what it came to. */
export function CallPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(question("/api/calls/{id}", { params: { path: { id } } }));
  const mayChange = useMay("change");
  const above = { to: "/calls", label: "Calls" };
  if (data === undefined)
    return (
      <Page title="Call" above={above}>
        <ErrorNote error={error} retry={() => void refetch()} />
        {error === null && <Waiting />}
      </Page>
    );
  const { call } = data;
  const who = call.caller === null ? "Anonymous caller" : phone(call.caller);
  return (
    <Page
      title={<span className="cm-number">{who}</span>}
      name={`Call of ${who}`}
      above={above}
      note={<CallState call={call} />}
      actions={mayChange ? <CallActs detail={data} /> : undefined}
    >
      <ErrorNote error={error} />
      <div className={classes.columns}>
        <Stack gap="lg" className={classes.story}>
          <Timeline detail={data} />
          {data.attempts.length > 0 && <Attempts attempts={data.attempts} />}
        </Stack>
        <Stack gap="lg" className={classes.side}>
          {data.money !== null && <CallMoney detail={data} money={data.money} />}
          <CallFacts detail={data} />
        </Stack>
      </div>
    </Page>
  );
}

function Waiting() {
  return (
    <Group align="flex-start" gap="lg" wrap="nowrap" role="status" aria-label="Reading the call">
      <Stack style={{ flex: 1 }}>
        {[60, 82, 71, 90, 55, 78].map((width) => (
          <Skeleton key={width} height={16} width={`${width}%`} />
        ))}
      </Stack>
      <Skeleton height={220} width={320} visibleFrom="md" />
    </Group>
  );
}
