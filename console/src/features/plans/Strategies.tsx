import { UnstyledButton } from "@mantine/core";
import type { Shapes } from "../../api/client";
import classes from "./Plan.module.css";

type Strategy = Shapes["RoutingPlan"]["strategy"];

const STRATEGIES: Record<Strategy, readonly [string, string]> = {
  auction: ["Auction", "The highest price or bid of a tier first"],
  weighted: ["Weighted", "By lot, in proportion to the weights"],
  round_robin: ["Round robin", "Whoever waited longest for a call"],
  waterfall: ["Waterfall", "Tier by tier, always from the top"],
};

/** How an offer is chosen inside a tier. */
export function Strategies(props: { value: Strategy; onChange: (strategy: Strategy) => void; readOnly: boolean }) {
  return (
    <div className={classes.strategies} role="group" aria-label="Strategy">
      {Object.entries(STRATEGIES).map(([key, [name, about]]) => (
        <UnstyledButton
          key={key}
          className={classes.strategy}
          data-chosen={props.value === key || undefined}
          aria-pressed={props.value === key}
          disabled={props.readOnly}
          onClick={() => props.onChange(key as Strategy)}
        >
          <b>{name}</b>
          <span>{about}</span>
        </UnstyledButton>
      ))}
    </div>
  );
}
