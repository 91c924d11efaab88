import { Alert, Button, Group, List } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { problemsAt, refusalOf } from "../api/problem";

const TITLES: Record<string, string> = {
  unreachable: "No connection",
  not_allowed: "Not allowed",
  not_found: "Not there",
  changed_meanwhile: "Somebody else changed this meanwhile",
  not_signed_in: "Signed out",
  unavailable: "Not available just now",
  internal: "Something broke",
};

/** Why something did not work and what to do. `shown` are the fields that show their own problems. */
export function ErrorNote(props: { error: unknown; shown?: readonly string[]; retry?: () => void }) {
  if (props.error === null || props.error === undefined) return null;
  const refused = refusalOf(props.error);
  const elsewhere = new Set((props.shown ?? []).flatMap((field) => problemsAt(refused, field)));
  const left = refused.problems.filter((problem) => !elsewhere.has(problem));
  return (
    <Alert
      role="alert"
      color="red"
      variant="outline"
      icon={<IconAlertTriangle size={18} />}
      title={TITLES[refused.code] ?? "That did not work"}
      styles={{ title: { color: "var(--cm-bad)" }, message: { color: "inherit" } }}
    >
      {refused.message}
      {left.length > 0 && (
        <List size="sm" mt={6}>
          {left.map((problem) => (
            <List.Item key={`${problem.field} ${problem.problem}`}>
              <b>{problem.field}</b>: {problem.problem}. {problem.remedy}.
            </List.Item>
          ))}
        </List>
      )}
      {props.retry !== undefined && (
        <Group mt="sm">
          <Button size="xs" variant="default" onClick={props.retry}>
            Try again
          </Button>
        </Group>
      )}
    </Alert>
  );
}

/** What to write at a field (`error` of a Mantine input): its problem and the remedy, or undefined. */
export function fieldError(error: unknown, field: string): string | undefined {
  if (error === null || error === undefined) return undefined;
  const problems = problemsAt(error, field);
  return problems.length === 0 ? undefined : problems.map((one) => `${one.problem}. ${one.remedy}.`).join(" ");
}
