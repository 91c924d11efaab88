import { Button, Group, NumberInput, Popover, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { question } from "../../api/client";
import { put, readAgain, type RecordOf, schedule } from "../../api/records";
import { useMay } from "../../api/session";
import { ErrorNote } from "../../ui/ErrorNote";
import { useToast } from "../../ui/toasts";
import { When } from "../../ui/Values";

/** Raises an offer's caps of the day by some calls, and plans that they are as before when the day is over. */
export function MoreToday({ record }: { record: RecordOf<"offers"> }) {
  const mayChange = useMay("change");
  const [more, setMore] = useState(20);
  const [opened, setOpened] = useState(false);
  const cache = useQueryClient();
  const toast = useToast();
  const { limits } = record.document;
  const daily = limits.caps.filter((cap) => cap.kind === "count" && cap.window === "day");
  const { data } = useQuery({
    ...question("/api/caps", { params: { query: { owner: "offer", id: record.id } } }),
    enabled: daily.length > 0,
  });
  const resetsAt = data?.items[0]?.caps.find((cap) => cap.window === "day")?.resets_at ?? null;
  const raise = useMutation({
    mutationFn: async () => {
      if (resetsAt === null) return;
      const caps = limits.caps.map((cap) => (cap.kind === "count" && cap.window === "day" ? { ...cap, limit: cap.limit + more } : cap));
      await put("offers", record.id, record.revision, { ...record.document, limits: { ...limits, caps } });
      await schedule("offers", record.id, resetsAt, { limits: { caps: limits.caps } }, `Back to the usual caps after ${more} more`);
    },
    onSuccess: () => {
      setOpened(false);
      toast({ text: `${more} more today; tomorrow the caps are as before, see scheduled changes.` });
    },
    onSettled: () => readAgain(cache, "offers", "caps"),
  });
  if (!mayChange || daily.length === 0) return null;
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" shadow="md" trapFocus withRoles={false}>
      <Popover.Target>
        <Button size="compact-xs" variant="default" aria-expanded={opened} onClick={() => setOpened(!opened)}>
          More today only
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs" w={250}>
          <NumberInput label="Calls more, today only" min={1} max={10_000} value={more} onChange={(value) => setMore(Number(value) || 1)} />
          <Text size="xs" c="dimmed">
            The caps are as before from <When at={resetsAt} /> on.
          </Text>
          <ErrorNote error={raise.error} />
          <Group justify="flex-end">
            <Button size="xs" disabled={resetsAt === null} loading={raise.isPending} onClick={() => raise.mutate()}>
              {`Allow ${more} more`}
            </Button>
          </Group>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
