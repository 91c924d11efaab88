import type { ReactNode } from "react";
import classes from "./Part.module.css";

/** A titled part of a page. */
export function Part(props: { title: string; note?: ReactNode; action?: ReactNode; flush?: boolean; children: ReactNode }) {
  return (
    <section className={`cm-card ${classes.part}`} aria-label={props.title}>
      <header className={classes.head}>
        <h2>{props.title}</h2>
        {props.note !== undefined && <span className={classes.note}>{props.note}</span>}
        {props.action !== undefined && <span className={classes.action}>{props.action}</span>}
      </header>
      <div className={classes.body} data-flush={props.flush === true || undefined}>
        {props.children}
      </div>
    </section>
  );
}

/** Names and values, one pair a line. */
export function Pairs(props: { pairs: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className={classes.pairs}>
      {props.pairs.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
