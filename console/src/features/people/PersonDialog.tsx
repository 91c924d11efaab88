import { Button, Group, Modal, Select, Stack, Switch, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, type Shapes } from "../../api/client";
import type { Role } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { NamePicker } from "../../ui/NamePicker";
import { SecretOnce } from "../../ui/SecretOnce";
import { useToast } from "../../ui/toasts";
import type { User } from "./PeoplePage";

const ROLES: readonly { value: Role; label: string }[] = [
  { value: "admin", label: "Admin: everything, people and keys too" },
  { value: "manager", label: "Manager: runs the network, moves money" },
  { value: "analyst", label: "Analyst: sees everything, changes nothing" },
  { value: "buyer", label: "Buyer: sees their own calls and money" },
  { value: "publisher", label: "Publisher: sees their own calls and money" },
];
const FIELDS = ["email", "name", "role"];

interface PersonDialogProps {
  user: User | undefined;
  opened: boolean;
  onClose: () => void;
}

/** Invite a person, or change what one may. */
export function PersonDialog(props: PersonDialogProps) {
  const [link, setLink] = useState<Shapes["UserLink"]>();
  const close = () => {
    props.onClose();
    setLink(undefined);
  };
  const title = link !== undefined ? "The link is ready" : props.user === undefined ? "Invite somebody" : props.user.name;
  return (
    <Modal opened={props.opened} onClose={close} title={title} size="lg" closeButtonProps={{ "aria-label": "Close" }}>
      {link === undefined ? (
        <PersonForm user={props.user} onLink={setLink} onDone={close} />
      ) : (
        <SecretOnce label="One-time link" secret={link.link} onDone={close}>
          Send this link to {link.user.name} yourself. It signs them in once, to choose a password, and is valid for seven days.
        </SecretOnce>
      )}
    </Modal>
  );
}

interface PersonFormProps {
  user: User | undefined;
  onLink: (link: Shapes["UserLink"]) => void;
  onDone: () => void;
}

function PersonForm({ user, onLink, onDone }: PersonFormProps) {
  const [email, setEmail] = useState(user?.email ?? "");
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<Role>(user?.role ?? "analyst");
  const [buyerId, setBuyerId] = useState(user?.buyer_id ?? undefined);
  const [publisherId, setPublisherId] = useState(user?.publisher_id ?? undefined);
  const [active, setActive] = useState(user === undefined || user.status === "active");
  const cache = useQueryClient();
  const toast = useToast();
  const own = {
    name,
    role,
    buyer_id: role === "buyer" ? (buyerId ?? null) : null,
    publisher_id: role === "publisher" ? (publisherId ?? null) : null,
  };
  const again = () => cache.invalidateQueries({ queryKey: ["/api/users"] });
  const save = useMutation({
    mutationFn: async () => {
      if (user === undefined) return onLink(await act("post", "/api/users", { body: { email, ...own } }));
      const params = { path: { id: user.id } };
      await act("put", "/api/users/{id}", { params, body: { ...own, status: active ? "active" : "disabled" } });
      toast({ text: `${name} is changed.` });
      return onDone();
    },
    onSuccess: again,
  });
  const link = useMutation({
    mutationFn: async () => onLink(await act("post", "/api/users/{id}/link", { params: { path: { id: user?.id ?? "" } } })),
    onSuccess: again,
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack>
        <Group grow align="flex-start">
          <TextInput
            label="Name"
            required
            withAsterisk={false}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={fieldError(save.error, "name")}
            data-autofocus
          />
          <TextInput
            label="E-mail"
            type="email"
            required
            withAsterisk={false}
            disabled={user !== undefined}
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            error={fieldError(save.error, "email")}
          />
        </Group>
        <Select
          label="Role"
          data={ROLES}
          value={role}
          allowDeselect={false}
          onChange={(value) => setRole(ROLES.find((one) => one.value === value)?.value ?? "analyst")}
          error={fieldError(save.error, "role")}
        />
        {role === "buyer" && (
          <NamePicker kind="buyer" label="Buyer" value={buyerId} onChange={setBuyerId} placeholder="Of which buyer" />
        )}
        {role === "publisher" && (
          <NamePicker kind="publisher" label="Publisher" value={publisherId} onChange={setPublisherId} placeholder="Of which publisher" />
        )}
        {user !== undefined && (
          <Switch label="May sign in" checked={active} onChange={(event) => setActive(event.currentTarget.checked)} />
        )}
        <ErrorNote error={save.error ?? link.error} shown={FIELDS} />
        <Group justify="space-between">
          {user === undefined ? (
            <span />
          ) : (
            <Button variant="default" loading={link.isPending} onClick={() => link.mutate()}>
              New one-time link
            </Button>
          )}
          <Group>
            <Button variant="default" onClick={onDone}>
              Cancel
            </Button>
            <Button type="submit" loading={save.isPending}>
              {user === undefined ? "Invite" : "Save"}
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}
