import type { CallSummary } from "../../api/lists";
import { words } from "../../ui/format";
import { Status, type Tone } from "../../ui/Values";

/** How far a call has come, in a word. */
export function standing(call: CallSummary): { tone: Tone; text: string; live: boolean } {
  if (call.blocked !== "") return { tone: "bad", text: `Blocked`, live: false };
  if (call.state !== "ended") return { tone: call.connected_at === null ? "info" : "good", text: words(call.state), live: true };
  if (call.review !== "") return { tone: "warn", text: "In review", live: false };
  if (call.converted_at !== null) return { tone: "good", text: "Converted", live: false };
  if (call.connected_at !== null) return { tone: "info", text: "Connected", live: false };
  return { tone: "rest", text: "Not connected", live: false };
}

export function CallStanding({ call }: { call: CallSummary }) {
  const { tone, text, live } = standing(call);
  return (
    <Status tone={tone} pulse={live}>
      {text}
    </Status>
  );
}
