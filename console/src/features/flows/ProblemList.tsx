import { Text, UnstyledButton } from "@mantine/core";
import classes from "./Flow.module.css";
import type { DraftProblem } from "./useDraft";

/** Everything that stands in the way of publishing, each with its node. */
export function ProblemList(props: { problems: readonly DraftProblem[]; whole: readonly DraftProblem[]; onPick: (node: string) => void }) {
  if (props.problems.length === 0)
    return (
      <Text size="sm" c="dimmed">
        Nothing is wrong: this flow can be published.
      </Text>
    );
  const whole = new Set(props.whole);
  return (
    <ul className={classes.problems}>
      {props.problems.map((one) => {
        const told = (
          <>
            <b>{`${one.node === "" ? "The flow" : one.node}: ${one.field === "" ? "" : `${one.field}: `}${one.problem}`}</b>
            <span>{one.remedy}</span>
          </>
        );
        return (
          <li key={`${one.node} ${one.code} ${one.field} ${one.problem}`}>
            {whole.has(one) ? (
              <div className={classes.problem}>{told}</div>
            ) : (
              <UnstyledButton className={classes.problem} onClick={() => props.onPick(one.node)}>
                {told}
              </UnstyledButton>
            )}
          </li>
        );
      })}
    </ul>
  );
}
