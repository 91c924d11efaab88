import { Button, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { act, question } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { Status, When } from "../../ui/Values";
import classes from "./Sessions.module.css";

/** Where one is signed in. */
export function Sessions() {
  const asked = question("/api/me/sessions");
  const { data, error } = useQuery(asked);
  const cache = useQueryClient();
  const end = useMutation({
    mutationFn: (id: string) => act("delete", "/api/me/sessions/{id}", { params: { path: { id } } }),
    onSuccess: () => cache.invalidateQueries({ queryKey: asked.queryKey }),
  });
  return (
    <Stack gap={8}>
      <Title order={2}>Where you are signed in</Title>
      <Text size="sm" c="dimmed">
        A session lasts twelve hours. End one that you do not know, and change your password.
      </Text>
      <ErrorNote error={error ?? end.error} />
      <ul className={`cm-card ${classes.sessions}`}>
        {data?.items.map((session) => (
          <li key={session.id}>
            <span>
              Since <When at={session.created_at} />, until <When at={session.expires_at} />
            </span>
            {session.current ? (
              <Status tone="good">This one</Status>
            ) : (
              <Button size="compact-sm" variant="default" onClick={() => end.mutate(session.id)}>
                Sign out there
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Stack>
  );
}
