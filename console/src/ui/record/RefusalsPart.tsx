import { Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { question } from "../../api/client";
import { ErrorNote } from "../ErrorNote";
import { count, percent, words } from "../format";
import { Part } from "../Part";
import { When } from "../Values";
import classes from "./Record.module.css";

/** Why an offer got no more calls today: every decision that it took part in, by what became of it. */
export function RefusalsPart({ id, name }: { id: string; name: string }) {
  const { data, error, refetch } = useQuery({
    ...question("/api/offers/{id}/refusals", { params: { path: { id } } }),
    refetchInterval: 15_000,
  });
  return (
    <Part
      title={`Why not more: ${name}`}
      note={
        data !== undefined && (
          <>
            {"decisions since "}
            <When at={data.since} />
          </>
        )
      }
    >
      <ErrorNote error={error} retry={() => void refetch()} />
      {data === undefined && error === null && <Skeleton height={80} />}
      {data !== undefined && data.decisions === 0 && (
        <Text size="sm">
          No call came to a campaign whose plan has this offer. Look at the campaigns’ numbers, or put it into a routing plan.
        </Text>
      )}
      {data !== undefined && data.decisions > 0 && (
        <div className={classes.meters}>
          <Text size="sm">
            {`It got ${count(data.taken)} of ${count(data.decisions)} routing decisions${data.more ? " (the latest; there were more)" : ""}.`}
          </Text>
          {data.reasons.map((one) => (
            <div key={one.code}>
              <div className={classes.meterHead}>
                <span>{words(one.code)}</span>
                <span className="cm-number">{`${count(one.count)} of ${count(data.decisions)}, ${percent(one.count, data.decisions)}`}</span>
              </div>
              <div className={classes.bar} aria-hidden>
                <span data-tone="warn" style={{ width: `${(100 * one.count) / data.decisions}%` }} />
              </div>
              <Link to="/calls/$id" params={{ id: one.last_call_id }} className={classes.sub ?? ""}>
                the last of these calls
              </Link>
            </div>
          ))}
        </div>
      )}
    </Part>
  );
}
