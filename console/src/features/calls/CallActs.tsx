import { ActionIcon, Button, Group, Menu, Modal, Stack, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconBan, IconDotsVertical, IconNote, IconPlayerPause, IconPhoneOff } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, type Shapes } from "../../api/client";
import { useName } from "../../api/names";
import { useAsk } from "../../ui/asking";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { useToast } from "../../ui/toasts";

/** What can be done about a call. */
export function CallActs({ detail }: { detail: Shapes["CallDetail"] }) {
  const { call } = detail;
  const [disposing, disposeActs] = useDisclosure();
  const publisher = useName(call.publisher_id);
  const ask = useAsk();
  const toast = useToast();
  const cache = useQueryClient();
  const again = () => cache.invalidateQueries({ queryKey: ["/api/calls/{id}", { id: call.id }] });
  const stop = () =>
    ask({
      title: "End this call now?",
      body: "The carrier hangs up every leg. The caller and the buyer are cut off in the middle of what they say.",
      act: "End the call",
      danger: true,
      run: async () => {
        const { calls } = await act("post", "/api/calls/{id}/stop", { params: { path: { id: call.id } }, body: {} });
        const outcome = calls[call.id];
        toast(
          outcome === "refused"
            ? { text: "The carrier did not end the call.", tone: "bad" }
            : { text: outcome === "over" ? "The call was over already." : "The call is being ended." },
        );
        await again();
      },
    });
  const block = async () => {
    const made = await act("post", "/api/blocks", { body: { pattern: call.caller ?? "", reason: `From the call ${call.id}` } });
    toast({
      text: `${phone(call.caller ?? "")} is blocked.`,
      undo: () => act("delete", "/api/blocks/{id}", { params: { path: { id: made.id } } }),
    });
  };
  const pause = async () => {
    const path = { id: call.publisher_id ?? "" };
    await act("post", "/api/publishers/{id}/pause", { params: { path }, body: { note: `From the call ${call.id}` } });
    toast({
      text: `${publisher ?? "The publisher"} is paused: no new calls; those in the air go on.`,
      undo: () => act("post", "/api/publishers/{id}/resume", { params: { path }, body: {} }),
    });
  };
  const failed = (error: unknown) => toast({ text: error instanceof Error ? error.message : "That did not work", tone: "bad" });
  return (
    <>
      {call.state !== "ended" && (
        <Button color="red" variant="outline" leftSection={<IconPhoneOff size={16} />} onClick={stop}>
          End the call
        </Button>
      )}
      <Button variant="default" leftSection={<IconNote size={16} />} onClick={disposeActs.open}>
        Disposition
      </Button>
      <Menu position="bottom-end" width={230}>
        <Menu.Target>
          <ActionIcon variant="default" size={34} aria-label="More about this call">
            <IconDotsVertical size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconBan size={16} />}
            disabled={call.caller === null}
            onClick={() => void block().catch(failed)}
          >
            Block this caller
          </Menu.Item>
          <Menu.Item
            leftSection={<IconPlayerPause size={16} />}
            disabled={call.publisher_id === null}
            onClick={() => void pause().catch(failed)}
          >
            Pause the publisher
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={disposing} onClose={disposeActs.close} title="What came of this call" closeButtonProps={{ "aria-label": "Close" }}>
        <DispositionForm call={call} onDone={disposeActs.close} />
      </Modal>
    </>
  );
}

const FIELDS = ["disposition"];

function DispositionForm({ call, onDone }: { call: Shapes["CallSummary"]; onDone: () => void }) {
  const [text, setText] = useState(call.disposition);
  const cache = useQueryClient();
  const save = useMutation({
    mutationFn: () => act("post", "/api/calls/{id}/disposition", { params: { path: { id: call.id } }, body: { disposition: text } }),
    onSuccess: async () => {
      await cache.invalidateQueries({ queryKey: ["/api/calls/{id}", { id: call.id }] });
      onDone();
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack>
        <TextInput
          label="Disposition"
          placeholder="Booked an appointment"
          required
          withAsterisk={false}
          maxLength={200}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={fieldError(save.error, "disposition")}
          data-autofocus
        />
        <ErrorNote error={save.error} shown={FIELDS} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            Note it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
