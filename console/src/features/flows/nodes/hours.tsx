import { IconClock } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { HoursFields } from "./HoursFields";
import type { NodeKind, PanelProps } from "./kind";
import { weekTold } from "./week";

const WORKDAYS = [0, 1, 2, 3, 4];

function Panel({ node, change, wrong, readOnly }: PanelProps<"hours">) {
  return <HoursFields hours={node.hours} onChange={(hours) => change({ ...node, hours })} wrong={wrong} readOnly={readOnly} />;
}

export const hours: NodeKind<"hours"> = {
  label: "Hours",
  hint: "Open or closed by a clock",
  icon: IconClock,
  tone: "decide",
  make: () => ({
    kind: "hours",
    hours: { time_zone: "America/New_York", spans: WORKDAYS.map((day) => ({ day, opens_minute: 540, closes_minute: 1020 })) },
    open: NOWHERE,
    closed: NOWHERE,
  }),
  summary: (node) => weekTold(node.hours),
  Panel,
};
