import { Skeleton } from "@mantine/core";
import { IconSpeakerphone } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { question, type Shapes } from "../../api/client";
import { Empty } from "../../ui/Empty";
import { count, percent } from "../../ui/format";
import { Part } from "../../ui/Part";
import { Sparkline } from "../../ui/Sparkline";
import { Money, RecordStatus } from "../../ui/Values";
import { type Figures, hourly } from "./figures";
import { useFigures } from "./useFigures";
import classes from "./Overview.module.css";

const HOURS = 24;
const MOST = 50;
const METRICS = "received,connected,converted,revenue,profit";
const NONE: Figures = {
  received: 0,
  connected: 0,
  converted: 0,
  paid: 0,
  blocked: 0,
  bridged_ms: 0,
  revenue: "0",
  payout: "0",
  cost: "0",
  profit: "0",
};

/** Each campaign: the last day as a line, today's figures, and how it keeps up with its goal. */
export function Campaigns() {
  const { data: campaigns } = useQuery(question("/api/campaigns", { params: { query: { limit: MOST } } }));
  const { data: today } = useFigures("slow", { metrics: METRICS, by: "campaign_id", range: "today", limit: 1000 });
  const since = useMemo(() => new Date(Math.floor(Date.now() / 3_600_000 - HOURS + 1) * 3_600_000), []);
  const until = useMemo(() => new Date(since.getTime() + (HOURS + 24) * 3_600_000), [since]);
  const { data: hours } = useFigures("slow", {
    metrics: "received",
    by: "campaign_id,hour",
    since: since.toISOString(),
    until: until.toISOString(),
    limit: 5000,
  });
  const byId = new Map(today?.groups.map((group) => [group.by.campaign_id, group.figures]));
  const lines = new Map<string, { at: string; value: number }[]>();
  for (const group of hours?.groups ?? []) {
    const id = group.by.campaign_id ?? "";
    lines.set(id, [...(lines.get(id) ?? []), { at: group.by.hour ?? "", value: group.figures.received ?? 0 }]);
  }
  const received = (id: string) => byId.get(id)?.received ?? 0;
  const items = [...(campaigns?.items ?? [])].sort((left, right) => received(right.id) - received(left.id));
  const elapsed = today === undefined ? 0 : dayShare(today);
  return (
    <Part title="Campaigns" note="today, and calls an hour of the last day" flush>
      {campaigns === undefined && <Skeleton height={120} m={16} width="auto" />}
      {campaigns !== undefined && items.length === 0 && (
        <Empty icon={<IconSpeakerphone size={22} />} title="No campaign yet">
          A campaign brings numbers, a flow, buyers and their terms together. It is shown here from its first call on.
        </Empty>
      )}
      {items.length > 0 && (
        <div className={classes.scroll} tabIndex={0} role="region" aria-label="Campaigns">
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">Campaign</th>
                <th scope="col">State</th>
                <th scope="col">Last day</th>
                <th scope="col" data-right>
                  Received
                </th>
                <th scope="col" data-right>
                  Connected
                </th>
                <th scope="col" data-right>
                  Converted
                </th>
                <th scope="col" data-right>
                  Revenue
                </th>
                <th scope="col" data-right>
                  Profit
                </th>
                <th scope="col">Goal</th>
              </tr>
            </thead>
            <tbody>
              {items.map((campaign) => {
                const figures = byId.get(campaign.id) ?? NONE;
                const { name, status, goals } = campaign.document;
                return (
                  <tr key={campaign.id}>
                    <td className={classes.name}>{name}</td>
                    <td>
                      <RecordStatus status={status} />
                    </td>
                    <td>
                      <Sparkline
                        values={hourly(lines.get(campaign.id) ?? [], new Date(), HOURS)}
                        label={`Calls of ${name} in each hour of the last day`}
                      />
                    </td>
                    <td data-right>{count(figures.received ?? 0)}</td>
                    <td data-right title="of the received">
                      {count(figures.connected ?? 0)} <small>{percent(figures.connected ?? 0, figures.received ?? 0)}</small>
                    </td>
                    <td data-right title="of the connected">
                      {count(figures.converted ?? 0)} <small>{percent(figures.converted ?? 0, figures.connected ?? 0)}</small>
                    </td>
                    <td data-right>
                      <Money amount={figures.revenue} round="cents" />
                    </td>
                    <td data-right>
                      <Money amount={figures.profit} round="cents" signed />
                    </td>
                    <td>
                      <Pace goal={goals?.calls_per_day ?? null} received={figures.received ?? 0} elapsed={elapsed} />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Part>
  );
}

/** How much of the day is over. A day is taken to have 24 hours; twice a year the mark is an hour off. */
function dayShare(today: Shapes["Facts"]): number {
  return Math.min(1, (Date.parse(today.until) - Date.parse(today.since)) / 86_400_000);
}

/** How far a campaign is towards its calls of a day; the mark is where it should be by now. */
function Pace({ goal, received, elapsed }: { goal: number | null; received: number; elapsed: number }) {
  if (goal === null || goal === 0) return <span className={classes.quiet}>–</span>;
  const done = received / goal;
  const tone = done >= elapsed ? "good" : done >= elapsed * 0.7 ? "warn" : "bad";
  return (
    <div className={classes.pace} title={`${count(received)} of ${count(goal)} calls a day; by now ${count(Math.round(goal * elapsed))}`}>
      <div className={classes.bar} role="img" aria-label={`${percent(received, goal)} of the goal of ${count(goal)} calls a day`}>
        <span data-tone={tone} style={{ width: `${Math.min(100, done * 100)}%` }} />
        <i style={{ left: `${elapsed * 100}%` }} />
      </div>
      <small>{`${count(received)} of ${count(goal)}`}</small>
    </div>
  );
}
