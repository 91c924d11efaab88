import { Alert, Button, CopyButton, Group, Stack, Text, TextInput } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

/** Something that is shown now and never again, with a button to copy it. */
export function SecretOnce(props: { label: string; secret: string; children: React.ReactNode; onDone: () => void }) {
  return (
    <Stack>
      <Alert color="yellow" variant="outline" styles={{ message: { color: "inherit" } }}>
        {props.children}
      </Alert>
      <Group align="flex-end" gap={8} wrap="nowrap">
        <TextInput
          label={props.label}
          readOnly
          value={props.secret}
          style={{ flex: 1 }}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          onFocus={(event) => event.currentTarget.select()}
        />
        <CopyButton value={props.secret}>
          {({ copied, copy }) => (
            <Button variant="default" leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />} onClick={copy}>
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
      </Group>
      <Text size="xs" c="dimmed">
        It is not kept where it could be read again. Make a new one if it gets lost.
      </Text>
      <Group justify="flex-end">
        <Button onClick={props.onDone}>Done</Button>
      </Group>
    </Stack>
  );
}
