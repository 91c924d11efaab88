import { Button, PasswordInput, Progress, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { act } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { useEnter } from "./entering";
import { Outside } from "./Outside";

const LEAST = 12;
const FIELDS = ["password"];

/** Behind a one-time link: a person chooses a password and is in. */
export function FirstSignInPage() {
  const { token } = useSearch({ strict: false }) as { token?: string };
  const [password, setPassword] = useState("");
  const enter = useEnter();
  const begin = useMutation({
    mutationFn: () => act("post", "/api/first-sign-in", { body: { token: token ?? "", password } }),
    onSuccess: enter,
  });
  if (token === undefined) return <NoToken />;
  const left = LEAST - password.length;
  return (
    <Outside title="Welcome to CallMatrix" lead="Choose a password to sign in with from now on. This link works once.">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          begin.mutate();
        }}
      >
        <Stack>
          <div>
            <PasswordInput
              label="Password"
              size="md"
              autoComplete="new-password"
              required
              withAsterisk={false}
              minLength={LEAST}
              autoFocus
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              error={fieldError(begin.error, "password")}
              visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0, "aria-hidden": false }}
            />
            <Progress
              value={Math.min(100, (password.length / LEAST) * 100)}
              size={4}
              mt={10}
              color={left > 0 ? "gray" : "green"}
              aria-label="Length of the password"
            />
            <Text size="xs" c="dimmed" mt={6} aria-live="polite">
              {left > 0 ? `At least ${LEAST} characters: ${left} to go` : "Long enough. Longer is better than odder."}
            </Text>
          </div>
          <ErrorNote error={begin.error} shown={FIELDS} />
          <Button type="submit" size="md" loading={begin.isPending} fullWidth>
            Choose it and sign in
          </Button>
        </Stack>
      </form>
    </Outside>
  );
}

function NoToken() {
  return (
    <Outside title="This link is not whole" lead="It ends in a token, which is missing here. Copy the whole of it from where you got it.">
      <Button component={Link} to="/sign-in" variant="default" fullWidth>
        Sign in with a password
      </Button>
    </Outside>
  );
}
