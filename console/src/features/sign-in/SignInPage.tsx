import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { act } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { useEnter } from "./entering";
import { Outside } from "./Outside";

const FIELDS = ["email", "password"];

export function SignInPage() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const enter = useEnter();
  const signIn = useMutation({
    mutationFn: () => act("post", "/api/sign-in", { body: { email, password } }),
    onSuccess: enter,
  });
  return (
    <Outside title="Sign in" lead="Welcome back to CallMatrix.">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate();
        }}
      >
        <Stack>
          <TextInput
            label="E-mail"
            type="email"
            size="md"
            autoComplete="username"
            required
            withAsterisk={false}
            autoFocus
            value={email}
            onChange={(event) => setEmail(event.currentTarget.value)}
            error={fieldError(signIn.error, "email")}
          />
          <PasswordInput
            label="Password"
            size="md"
            autoComplete="current-password"
            required
            withAsterisk={false}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            error={fieldError(signIn.error, "password")}
            visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0, "aria-hidden": false }}
          />
          <ErrorNote error={signIn.error} shown={FIELDS} />
          <Button type="submit" size="md" loading={signIn.isPending} fullWidth>
            Sign in
          </Button>
        </Stack>
      </form>
    </Outside>
  );
}
