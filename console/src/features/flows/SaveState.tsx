import { Button } from "@mantine/core";
import { Status, type Tone } from "../../ui/Values";
import type { Editing, Standing } from "./useDraft";

const TOLD: Record<Standing, readonly [Tone, string]> = {
  unread: ["rest", "Reading"],
  saved: ["good", "Draft saved"],
  waiting: ["info", "Saving…"],
  saving: ["info", "Saving…"],
  unsaveable: ["bad", "Not saved: mend the marked nodes"],
  conflict: ["warn", "Not saved: changed meanwhile"],
  failed: ["bad", "Not saved"],
};

/** Whether the server has what is on the canvas. */
export function SaveState({ editing, mayChange }: { editing: Editing; mayChange: boolean }) {
  if (!mayChange) return <Status tone="rest">You may look, not change</Status>;
  const [tone, text] = TOLD[editing.standing];
  return (
    <span role="status" style={{ display: "inline-flex", alignItems: "center", gap: 8, whiteSpace: "nowrap" }}>
      <Status tone={tone}>{editing.standing === "failed" ? `${text}: ${editing.error?.message ?? ""}` : text}</Status>
      {editing.standing === "failed" && (
        <Button size="compact-xs" variant="default" onClick={() => void editing.flush()}>
          Try again
        </Button>
      )}
    </span>
  );
}
