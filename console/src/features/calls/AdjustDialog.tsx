import { Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, type Shapes } from "../../api/client";
import { useAccount } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { money as moneyText } from "../../ui/format";
import { useToast } from "../../ui/toasts";

interface AdjustDialogProps {
  call: Shapes["CallSummary"];
  money: Shapes["CallMoney"];
  opened: boolean;
  onClose: () => void;
}

const FIELDS = ["credit", "clawback", "reason"];

/** Credit the buyer and claw back from the publisher, in full or part. */
export function AdjustDialog(props: AdjustDialogProps) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Adjust this call" closeButtonProps={{ "aria-label": "Close" }}>
      <AdjustForm {...props} />
    </Modal>
  );
}

function AdjustForm({ call, money, onClose }: AdjustDialogProps) {
  const { currency } = useAccount();
  const [credit, setCredit] = useState("");
  const [clawback, setClawback] = useState("");
  const [reason, setReason] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const adjust = useMutation({
    mutationFn: () =>
      act("post", "/api/calls/{id}/adjustments", {
        params: { path: { id: call.id } },
        body: { reason, credit: credit.trim() || "0", clawback: clawback.trim() || "0" },
      }),
    onSuccess: async () => {
      await cache.invalidateQueries({ queryKey: ["/api/calls/{id}", { id: call.id }] });
      toast({ text: "The correction is booked." });
      onClose();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        adjust.mutate();
      }}
    >
      <Stack>
        <Text size="sm" c="dimmed">
          Corrections are new postings; nothing that is booked is changed. They cannot be undone, only corrected again.
        </Text>
        <Group grow align="flex-start">
          <TextInput
            label="Credit to the buyer"
            description={`At most ${moneyText(money.credit_left, currency)}`}
            inputMode="decimal"
            placeholder="0.00"
            value={credit}
            onChange={(event) => setCredit(event.currentTarget.value)}
            error={fieldError(adjust.error, "credit")}
            data-autofocus
          />
          <TextInput
            label="Claw-back from the publisher"
            description={`At most ${moneyText(money.clawback_left, currency)}`}
            inputMode="decimal"
            placeholder="0.00"
            value={clawback}
            onChange={(event) => setClawback(event.currentTarget.value)}
            error={fieldError(adjust.error, "clawback")}
          />
        </Group>
        <Group gap={6}>
          <Button size="compact-xs" variant="default" onClick={() => setCredit(money.credit_left)}>
            Whole credit
          </Button>
          <Button size="compact-xs" variant="default" onClick={() => setClawback(money.clawback_left)}>
            Whole claw-back
          </Button>
        </Group>
        <Textarea
          label="Reason"
          required
          withAsterisk={false}
          autosize
          minRows={2}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          error={fieldError(adjust.error, "reason")}
        />
        <ErrorNote error={adjust.error} shown={FIELDS} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={adjust.isPending}>
            Book the correction
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
