import { useQuery } from "@tanstack/react-query";
import { question } from "../../api/client";
import { count, percent } from "../format";
import { Money } from "../Values";
import classes from "./Record.module.css";

/** Today's figures of one campaign, buyer, offer or publisher, with their denominators. */
export function TodayTiles({ by, id }: { by: "campaign_id" | "buyer_id" | "offer_id" | "publisher_id"; id: string }) {
  const query = { metrics: "received,connected,converted,revenue,payout,profit", range: "today" as const, [by]: id };
  const { data } = useQuery({ ...question("/api/facts", { params: { query } }), refetchInterval: 10_000 });
  const total = data?.total;
  const [received, connected, converted] = [total?.received ?? 0, total?.connected ?? 0, total?.converted ?? 0];
  return (
    <dl className={classes.tiles}>
      <Tile name={by === "campaign_id" || by === "publisher_id" ? "Received today" : "Calls today"}>{count(received)}</Tile>
      <Tile name="Connected">
        {count(connected)} <small>{`${percent(connected, received)} of received`}</small>
      </Tile>
      <Tile name="Converted">
        {count(converted)} <small>{`${percent(converted, connected)} of connected`}</small>
      </Tile>
      <Tile name="Revenue">
        <Money amount={total?.revenue ?? "0"} round="cents" />
      </Tile>
      <Tile name="Payout">
        <Money amount={total?.payout ?? "0"} round="cents" />
      </Tile>
      <Tile name="Profit">
        <Money amount={total?.profit ?? "0"} round="cents" signed />
      </Tile>
    </dl>
  );
}

function Tile({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className={`cm-card ${classes.tile}`}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
