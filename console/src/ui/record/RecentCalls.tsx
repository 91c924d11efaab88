import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { question } from "../../api/client";
import { CallState } from "../CallState";
import { Name } from "../Name";
import { Part } from "../Part";
import { Money, Phone, When } from "../Values";
import classes from "./Record.module.css";

const SHOWN = 10;

/** The last calls of one campaign, buyer, offer or publisher. */
export function RecentCalls({ by, id, also }: { by: "campaign_id" | "buyer_id" | "offer_id" | "publisher_id"; id: string; also: "buyer_id" | "campaign_id" }) {
  const { data } = useQuery({
    ...question("/api/calls", { params: { query: { [by]: id, limit: SHOWN } } }),
    refetchInterval: 10_000,
  });
  return (
    <Part
      title="Recent calls"
      flush
      action={
        <Link to="/calls" search={{ [by]: id } as never}>
          All calls
        </Link>
      }
    >
      {data === undefined && <Skeleton height={80} m={16} width="auto" />}
      {data?.items.length === 0 && (
        <p className={classes.sub} style={{ padding: "0 16px" }}>
          No calls yet.
        </p>
      )}
      {data !== undefined && data.items.length > 0 && (
        <div className={classes.scroll} tabIndex={0} role="region" aria-label="Recent calls, table">
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">Arrived</th>
                <th scope="col">Caller</th>
                <th scope="col">State</th>
                <th scope="col">{also === "buyer_id" ? "Buyer" : "Campaign"}</th>
                <th scope="col" data-right>
                  {by === "publisher_id" ? "Payout" : "Revenue"}
                </th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((call) => (
                <tr key={call.id}>
                  <td>
                    <Link to="/calls/$id" params={{ id: call.id }}>
                      <When at={call.arrived_at} />
                    </Link>
                  </td>
                  <td>
                    <Phone number={call.caller} />
                  </td>
                  <td>
                    <CallState call={call} />
                  </td>
                  <td>
                    <Name id={call[also]} />
                  </td>
                  <td data-right>
                    <Money amount={by === "publisher_id" ? call.payout : call.revenue} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Part>
  );
}
