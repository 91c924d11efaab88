import { clock } from "../../ui/format";
import { Seconds } from "../../ui/Seconds";
import type { Call } from "./filters";

/** How long a call has talked; while it is bridged the seconds count on. */
export function Talk({ call }: { call: Call }) {
  if (call.state !== "ended" && call.connected_at !== null && call.bridged_ms === 0) return <Seconds since={call.connected_at} />;
  return <>{clock(call.bridged_ms / 1000)}</>;
}
