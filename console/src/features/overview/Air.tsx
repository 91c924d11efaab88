import { IconPhoneIncoming } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { question } from "../../api/client";
import { standingOf } from "../../ui/CallState";
import { Empty } from "../../ui/Empty";
import { count } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Part } from "../../ui/Part";
import { Seconds } from "../../ui/Seconds";
import { Phone, Status } from "../../ui/Values";
import classes from "./Overview.module.css";

const MOST = 100;
const SHOWN = 8;

/** The calls in the air: where each is, and for how long. */
export function Air() {
  const { data } = useQuery(question("/api/calls", { params: { query: { status: "live", limit: MOST } } }));
  const calls = data?.items ?? [];
  const more = calls.length - SHOWN;
  return (
    <Part
      title="In the air"
      flush
      note={
        <span data-testid="in-the-air">
          {data === undefined ? "…" : `${count(calls.length)}${calls.length === MOST ? "+" : ""} ${calls.length === 1 ? "call" : "calls"}`}
        </span>
      }
      action={
        <Link to="/calls" search={{ status: "live" } as never} className={classes.all}>
          All of them
        </Link>
      }
    >
      <div className={classes.air}>
        {data !== undefined && calls.length === 0 && (
          <Empty icon={<IconPhoneIncoming size={22} />} title="Nobody is calling just now">
            The next call is here the moment it arrives.
          </Empty>
        )}
        {calls.slice(0, SHOWN).map((call) => {
          const { tone, text, live } = standingOf(call);
          return (
            <Link key={call.id} to="/calls/$id" params={{ id: call.id }} className={classes.flying}>
              <Status tone={tone} pulse={live}>
                {text}
              </Status>
              <Phone number={call.caller} />
              <span className={`cm-clip ${classes.flyingName}`}>
                <Name id={call.campaign_id} />
              </span>
              <span className={`cm-clip ${classes.flyingName} ${classes.buyer}`}>{call.buyer_id !== null && <Name id={call.buyer_id} />}</span>
              <span className={classes.seconds}>
                <Seconds since={call.arrived_at} />
              </span>
            </Link>
          );
        })}
        {more > 0 && <div className={classes.more}>{`and ${count(more)} more`}</div>}
      </div>
    </Part>
  );
}
