import { Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, type Shapes } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count } from "../../ui/format";
import { Pairs } from "../../ui/Part";
import { Money } from "../../ui/Values";
import type { CallFilters } from "./filters";

const FIELDS = ["reason"];
const POLL_MS = 1_000;

interface RateAgainProps {
  filters: CallFilters;
  opened: boolean;
  onClose: () => void;
}

/** Rate the calls of a filter again by the terms of now: first what would change, then with a reason. */
export default function RateAgain(props: RateAgainProps) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Rate these calls again" closeButtonProps={{ "aria-label": "Close" }}>
      {props.filters.since === undefined ? (
        <Text size="sm">
          Choose days first, and a campaign, buyer, publisher or offer if you like. Then the calls of that choice are rated
          again, after a preview of what would change.
        </Text>
      ) : (
        <RateForm filters={props.filters} since={props.filters.since} onClose={props.onClose} />
      )}
    </Modal>
  );
}

function RateForm({ filters, since, onClose }: { filters: CallFilters; since: string; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [until] = useState(() => filters.until ?? new Date().toISOString());
  const cache = useQueryClient();
  const calls: Shapes["RatedCallsInput"] = {
    since,
    until,
    campaign_id: filters.campaign_id ?? null,
    buyer_id: filters.buyer_id ?? null,
    publisher_id: filters.publisher_id ?? null,
    offer_id: filters.offer_id ?? null,
  };
  const preview = useQuery({
    queryKey: ["/api/reratings/preview", calls],
    queryFn: () => act("post", "/api/reratings/preview", { body: { calls } as never }) as Promise<Shapes["Preview"]>,
  });
  const rate = useMutation({
    mutationFn: () => act("post", "/api/reratings", { body: { calls, reason } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["/api/calls"] }),
  });
  if (rate.data !== undefined) return <Progress id={rate.data.id} onClose={onClose} />;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        rate.mutate();
      }}
    >
      <Stack>
        <ErrorNote error={preview.error} />
        {preview.data === undefined && preview.error === null && <Text size="sm">Looking at the calls…</Text>}
        {preview.data !== undefined && (
          <Pairs
            pairs={[
              ["Calls looked at", count(preview.data.looked_at)],
              ["Calls that would change", `${count(preview.data.calls.length)}${preview.data.next_cursor === null ? "" : "+"}`],
              ["Revenue", <Money key="revenue" amount={preview.data.revenue_difference} signed />],
              ["Payout", <Money key="payout" amount={preview.data.payout_difference} signed />],
            ]}
          />
        )}
        <Text size="xs" c="dimmed">
          Only days, campaign, buyer, publisher and offer of the filters count. What differs is booked as corrections; closed
          statements stay as they are.
        </Text>
        <Textarea
          label="Reason"
          required
          withAsterisk={false}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          error={fieldError(rate.error, "reason")}
        />
        <ErrorNote error={rate.error} shown={FIELDS} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={rate.isPending} disabled={preview.data === undefined || preview.data.calls.length === 0}>
            Rate again
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** How far it is; it goes on without this page. */
function Progress({ id, onClose }: { id: string; onClose: () => void }) {
  const { data } = useQuery({
    ...question("/api/reratings/{id}", { params: { path: { id } } }),
    refetchInterval: (query) => (query.state.data?.complete === true ? false : POLL_MS),
  });
  return (
    <Stack>
      <Text size="sm" aria-live="polite" className="cm-number">
        {data === undefined
          ? "Beginning…"
          : `${count(data.done)} of ${count(data.total)} calls are rated again${data.refused > 0 ? `, ${count(data.refused)} were refused` : ""}.`}
        {data?.complete === true && " All is done."}
      </Text>
      <Text size="xs" c="dimmed">
        It goes on if you close this.
      </Text>
      <Group justify="flex-end">
        <Button onClick={onClose}>Close</Button>
      </Group>
    </Stack>
  );
}
