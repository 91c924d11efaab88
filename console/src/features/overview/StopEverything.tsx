import { Button } from "@mantine/core";
import { IconHandStop } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { act } from "../../api/client";
import { useAsk } from "../../ui/asking";
import { count } from "../../ui/format";
import { useToast } from "../../ui/toasts";

/** The guarded button that pauses every campaign and ends every call. */
export function StopEverything() {
  const ask = useAsk();
  const toast = useToast();
  const cache = useQueryClient();
  const resume = (ids: readonly string[]) =>
    Promise.all(ids.map((id) => act("post", "/api/campaigns/{id}/resume", { params: { path: { id } }, body: { note: "After a stop" } })));
  const stop = async () => {
    const stopped = await act("post", "/api/stop", { body: {} });
    await cache.invalidateQueries();
    toast({
      text: `${count(stopped.campaigns.length)} campaigns are paused, ${count(Object.keys(stopped.calls).length)} calls are being ended.`,
      ...(stopped.campaigns.length > 0 ? { undo: () => resume(stopped.campaigns).then(() => cache.invalidateQueries()) } : {}),
    });
  };
  return (
    <Button
      variant="outline"
      color="red"
      leftSection={<IconHandStop size={16} />}
      onClick={() =>
        ask({
          title: "Stop everything?",
          body: "Every live campaign is paused and every call that is up is ended, in the middle of what is said. Campaigns can be resumed; calls that were ended are over.",
          act: "Stop everything",
          danger: true,
          typed: "stop",
          run: stop,
        })
      }
    >
      Stop everything
    </Button>
  );
}
