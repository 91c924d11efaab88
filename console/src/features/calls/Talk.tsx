import { clock } from "../../ui/format";
import { Seconds } from "../../ui/Seconds";
import type { Call } from "./filters";

/** How long a call has talked; while it is bridged the seconds count on. */
export function Talk({ call }: { call: Call }) {
  if (call.answered_at !== null) return <Seconds since={call.answered_at} />;
  return <>{clock(call.bridged_ms / 1000)}</>;
}
