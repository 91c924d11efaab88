import type { ReactNode } from "react";
import type { Shapes } from "../../api/client";
import { clock, words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Pairs, Part } from "../../ui/Part";
import { Phone, When } from "../../ui/Values";

type Pair = readonly [string, ReactNode];

/** What is known of a call: whose it is, the caller, what was captured and attached. */
export function CallFacts({ detail }: { detail: Shapes["CallDetail"] }) {
  const { call, geo } = detail;
  const about: Pair[] = [
    ["Arrived", <When key="at" at={call.arrived_at} style="full" />],
    ["Campaign", `${detail.campaign}`],
    ["Plan", `Version ${detail.plan_version}`],
    ["Dialed", <Phone key="dialed" number={call.dialed} />],
  ];
  if (call.publisher_id !== null) about.push(["Publisher", <Name key="publisher" id={call.publisher_id} />]);
  if (call.buyer_id !== null) about.push(["Buyer", <Name key="buyer" id={call.buyer_id} />]);
  if (call.duration_ms !== null) about.push(["Duration", clock(call.duration_ms / 1000)]);
  if (call.end_reason !== "") about.push(["End", words(call.end_reason)]);
  if (call.disposition !== "") about.push(["Disposition", call.disposition]);
  if (call.review !== "") about.push(["In review", words(call.review)]);
  if (detail.replays !== null)
    about.push(["Replay", detail.replays ? "Its events lead to the same call" : "Its events lead to another call"]);
  about.push(["Id", <span key="id" className="cm-mono">{call.id}</span>]);
  const place: Pair[] = [];
  if (geo !== null) {
    const where = [geo.county, geo.state].filter((one) => one !== null).join(", ");
    place.push(["Place", `${where === "" ? "Unknown" : where} (by ${geo.source === "zip" ? "ZIP" : "number"})`]);
    if (geo.zip !== null) place.push(["ZIP", geo.zip]);
    if (geo.area_code !== null) place.push(["Area code", geo.area_code]);
  }
  if (detail.attestation !== "") place.push(["Attestation", detail.attestation]);
  const fields = Object.entries(detail.fields).map(([name, value]): Pair => [name, value]);
  const tags = Object.entries(call.tags).map(([name, value]): Pair => [name, value]);
  return (
    <>
      <Part title="Call">
        <Pairs pairs={about} />
      </Part>
      {place.length > 0 && (
        <Part title="Caller">
          <Pairs pairs={place} />
        </Part>
      )}
      {fields.length > 0 && (
        <Part title="Captured fields">
          <Pairs pairs={fields} />
        </Part>
      )}
      {tags.length > 0 && (
        <Part title="Tags" note="attached from outside">
          <Pairs pairs={tags} />
        </Part>
      )}
    </>
  );
}
