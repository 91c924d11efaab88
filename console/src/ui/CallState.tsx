import type { Shapes } from "../api/client";
import { words } from "./format";
import { Status, type Tone } from "./Values";

type Call = Shapes["CallSummary"];

const LIVE: Record<string, string> = {
  new: "Arriving",
  ivr: "In the menu",
  asking: "Deciding",
  reserving: "Reserving",
  dialling: "Ringing",
  voicemail: "Voicemail",
  closing: "Closing",
};

/** How far a call has come, in a word. */
export function standingOf(call: Call): { tone: Tone; text: string; live: boolean } {
  if (call.state !== "ended") {
    const talking = call.answered_at !== null;
    return { tone: talking ? "good" : "info", text: talking ? "Talking" : (LIVE[call.state] ?? words(call.state)), live: true };
  }
  if (call.blocked !== "") return { tone: "bad", text: "Blocked", live: false };
  if (call.review !== "") return { tone: "warn", text: "In review", live: false };
  if (call.converted_at !== null) return { tone: "good", text: "Converted", live: false };
  if (call.paid_at !== null) return { tone: "good", text: "Paid", live: false };
  if (call.connected_at !== null) return { tone: "info", text: "Connected", live: false };
  return { tone: "rest", text: "Not connected", live: false };
}

export function CallState({ call }: { call: Call }) {
  const { tone, text, live } = standingOf(call);
  return (
    <Status tone={tone} pulse={live}>
      {text}
    </Status>
  );
}
