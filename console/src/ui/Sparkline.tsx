import classes from "./Sparkline.module.css";

interface SparklineProps {
  values: readonly number[];
  /** What it shows, for who cannot see it. */
  label: string;
  width?: number;
  height?: number;
}

/** A small line of how something went, without axes. */
export function Sparkline({ values, label, width = 96, height = 24 }: SparklineProps) {
  const line = points(values, width, height);
  return (
    <svg className={classes.spark} viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={label}>
      <polygon className={classes.area} points={`0,${height} ${line} ${width},${height}`} />
      <polyline className={classes.line} points={line} />
    </svg>
  );
}

/** The points of a line through values, from the left to the right edge, zero at the bottom. */
export function points(values: readonly number[], width: number, height: number): string {
  const most = Math.max(1, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const [top, room] = [1.5, height - 3];
  return values.map((value, place) => `${(place * step).toFixed(1)},${(top + room * (1 - value / most)).toFixed(1)}`).join(" ");
}
