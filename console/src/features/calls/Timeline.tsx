import type { Shapes } from "../../api/client";
import { Empty } from "../../ui/Empty";
import { Part } from "../../ui/Part";
import { When, Zone } from "../../ui/Values";
import { IconTimeline } from "@tabler/icons-react";
import { Decision } from "./Decision";
import classes from "./Call.module.css";

type Moment = Shapes["Moment"];

const TONES: Partial<Record<string, "good" | "bad" | "info" | "warn">> = {
  arrived: "info",
  looked: "info",
  leg_answered: "good",
  bids_returned: "info",
  cap_full: "warn",
  failed_safe: "bad",
  timed_out: "warn",
  conversion_reported: "good",
  adjusted: "warn",
  rerated: "warn",
};

/** Every event of a call, told, with the path through the flow and each routing decision. */
export function Timeline({ detail }: { detail: Shapes["CallDetail"] }) {
  if (detail.timeline.length === 0)
    return (
      <Part title="What happened">
        <Empty icon={<IconTimeline size={22} />} title="The steps are shown to the operator only" />
      </Part>
    );
  return (
    <Part title="What happened" note={<Zone />} flush>
      <ol className={classes.timeline}>
        {detail.timeline.map((moment) => (
          <li key={moment.version} className={classes.moment}>
            <span className={classes.at}>
              <When at={moment.at} style="time" />
            </span>
            <span className={classes.rail} aria-hidden>
              <span className={classes.dot} data-tone={TONES[moment.kind]} />
            </span>
            <div className={classes.told}>
              {moment.text}
              {moment.notes.map((note) => (
                <div key={`${note.code} ${note.text}`} className={classes.note}>
                  {note.text}
                </div>
              ))}
              {moment.visits.length > 0 && <Path visits={moment.visits} />}
              {moment.decision !== null && <Decision decision={moment.decision} />}
            </div>
          </li>
        ))}
      </ol>
    </Part>
  );
}

/** Which nodes of the flow the caller went through, and by which exit. */
function Path({ visits }: { visits: Moment["visits"] }) {
  return (
    <div className={classes.path}>
      <span>Flow</span>
      {visits.map((visit, place) => (
        // A caller may come through the same node twice.
        <span key={`${place.toString()} ${visit.node}`} className={classes.node} title={`leaves by ${visit.exit}`}>
          {visit.node}
          {visit.detail !== undefined && visit.detail !== "" && <em>{visit.detail}</em>}
          {visit.exit === "wait" && <em>waits</em>}
        </span>
      ))}
    </div>
  );
}
