import { Text } from "@mantine/core";
import { IconPhoneOff } from "@tabler/icons-react";
import type { NodeKind } from "./kind";

function Panel() {
  return (
    <Text size="sm" c="dimmed">
      The call ends here. Say goodbye in a node before this one.
    </Text>
  );
}

export const hangup: NodeKind<"hangup"> = {
  label: "Hang up",
  hint: "End the call",
  icon: IconPhoneOff,
  tone: "end",
  make: () => ({ kind: "hangup" }),
  summary: () => "The call ends",
  Panel,
};
