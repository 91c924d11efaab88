import { Text } from "@mantine/core";
import { IconRoute } from "@tabler/icons-react";
import type { NodeKind } from "./kind";

function Panel() {
  return (
    <Text size="sm" c="dimmed">
      The campaign's routing plan takes over: it chooses among the offers and rings the buyer. What the caller entered before goes
      with the call.
    </Text>
  );
}

export const route: NodeKind<"route"> = {
  label: "Route",
  hint: "To the routing plan and its buyers",
  icon: IconRoute,
  tone: "end",
  make: () => ({ kind: "route" }),
  summary: () => "To the campaign's buyers",
  Panel,
};
