import { Button, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, signedIn } from "../../api/client";
import { me, useMe } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { words } from "../../ui/format";
import { Page } from "../../ui/Page";
import { useToast } from "../../ui/toasts";
import { Sessions } from "./Sessions";

const FIELDS = ["password", "new_password"];

/** One's own sign-in. */
export function MePage() {
  const who = useMe();
  return (
    <Page title="Your sign-in" narrow>
      <Stack gap="xl">
        <div>
          <Title order={2}>{who.name}</Title>
          <Text c="dimmed" size="sm">
            {words(who.role)}
          </Text>
        </div>
        <PasswordForm />
        <Sessions />
      </Stack>
    </Page>
  );
}


function PasswordForm() {
  const [password, setPassword] = useState("");
  const [next, setNext] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const change = useMutation({
    mutationFn: () => act("post", "/api/me/password", { body: { password, new_password: next } }),
    onSuccess: (who) => {
      signedIn(who.csrf_token);
      cache.setQueryData(me.queryKey, who);
      setPassword("");
      setNext("");
      toast({ text: "Your password is changed. You are signed out everywhere else." });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        change.mutate();
      }}
    >
      <Stack maw={380}>
        <Title order={2}>Change the password</Title>
        <PasswordInput
          label="Password of now"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          error={fieldError(change.error, "password")}
          visibilityToggleButtonProps={{ "aria-label": "Show the password of now", tabIndex: 0, "aria-hidden": false }}
        />
        <PasswordInput
          label="New password"
          description="At least 12 characters"
          autoComplete="new-password"
          required
          withAsterisk={false}
          minLength={12}
          value={next}
          onChange={(event) => setNext(event.currentTarget.value)}
          error={fieldError(change.error, "new_password")}
          visibilityToggleButtonProps={{ "aria-label": "Show the new password", tabIndex: 0, "aria-hidden": false }}
        />
        <ErrorNote error={change.error} shown={FIELDS} />
        <div>
          <Button type="submit" loading={change.isPending}>
            Change it
          </Button>
        </div>
      </Stack>
    </form>
  );
}
