import { type Difference, placeName, valueText } from "./changes";
import classes from "./Record.module.css";

const MOST = 60;

/** What differs, field by field: before and after. */
export function DiffList({ changes }: { changes: readonly Difference[] }) {
  return (
    <ul className={classes.changes}>
      {changes.slice(0, MOST).map((one) => (
        <li key={one.field}>
          <b>{placeName(one.field)}</b>
          <span>
            <span className={classes.before}>{valueText(one.before)}</span>
            {" → "}
            <span className={classes.after}>{valueText(one.after)}</span>
          </span>
        </li>
      ))}
      {changes.length > MOST && <li>{`and ${changes.length - MOST} more`}</li>}
    </ul>
  );
}
