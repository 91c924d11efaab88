import { Button, Group, Modal, Stack, TextInput, UnstyledButton } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { act } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import classes from "./Flow.module.css";
import { TEMPLATES } from "./templates";

/** A new flow, from one of the templates. */
export function NewFlow(props: { opened: boolean; onClose: () => void }) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const [key, setKey] = useState("empty");
  const [name, setName] = useState("");
  const template = TEMPLATES.find((one) => one.key === key) ?? TEMPLATES[0];
  const create = useMutation({
    mutationFn: () => {
      if (template === undefined) throw new Error("There is no template");
      return act("post", "/api/flows", { body: { name: name.trim() === "" ? template.name : name.trim(), draft: template.flow } });
    },
    onSuccess: async (made) => {
      await cache.invalidateQueries({ queryKey: ["/api/flows"] });
      await navigate({ to: "/flows/$id", params: { id: made.id } });
    },
  });
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="New flow" size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack>
          <div className={classes.templates} role="group" aria-label="Templates">
            {TEMPLATES.map((one) => (
              <UnstyledButton
                key={one.key}
                className={classes.template}
                data-chosen={one.key === key || undefined}
                aria-pressed={one.key === key}
                onClick={() => setKey(one.key)}
              >
                <b>{one.name}</b>
                <span>{one.about}</span>
              </UnstyledButton>
            ))}
          </div>
          <TextInput
            label="Name"
            placeholder={template?.name}
            value={name}
            data-autofocus
            error={fieldError(create.error, "name")}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <ErrorNote error={create.error} shown={["name"]} />
          <Group justify="flex-end" gap={8}>
            <Button variant="default" onClick={props.onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={create.isPending}>
              Create
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
