import { ActionIcon, Button, Text } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import { ZoneSelect } from "../../../ui/record/ZoneSelect";
import classes from "./Nodes.module.css";
import { clockOf, DAYS, type Hours, minuteOf, type Span, spanOf } from "./week";

const NINE = 540;
const FIVE = 1020;

/** The times of a week, day by day. */
export function HoursFields(props: { hours: Hours; onChange: (hours: Hours) => void; wrong: (field: string) => string | undefined; readOnly: boolean }) {
  const { hours, readOnly } = props;
  const set = (spans: Span[]) => props.onChange({ ...hours, spans });
  const change = (at: number, span: Span | null) => set(hours.spans.flatMap((one, place) => (place === at ? (span === null ? [] : [span]) : [one])));
  return (
    <>
      <ZoneSelect
        value={hours.time_zone}
        error={props.wrong("hours.time_zone")}
        disabled={readOnly}
        onChange={(time_zone) => props.onChange({ ...hours, time_zone })}
      />
      <div className={classes.week}>
        {DAYS.map((name, day) => {
          const spans = hours.spans.map((span, at) => ({ span, at })).filter((one) => one.span.day === day);
          return (
            <div key={name} className={classes.day} role="group" aria-label={name}>
              <Text size="sm">{name.slice(0, 3)}</Text>
              <div className={classes.spans}>
                {spans.map(({ span, at }) => (
                  <div key={at} className={classes.span}>
                    <Time label={`${name} opens`} minute={span.opens_minute} readOnly={readOnly} onChange={(opens) => change(at, spanOf(day, opens, span.closes_minute % 1440))} />
                    <span>–</span>
                    <Time label={`${name} closes`} minute={span.closes_minute} readOnly={readOnly} onChange={(closes) => change(at, spanOf(day, span.opens_minute, closes))} />
                    {!readOnly && (
                      <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`Close on ${name}`} onClick={() => change(at, null)}>
                        <IconX size={13} />
                      </ActionIcon>
                    )}
                  </div>
                ))}
                {spans.length === 0 && (
                  <Text size="sm" c="dimmed">
                    Closed
                  </Text>
                )}
              </div>
              {!readOnly && (
                <ActionIcon size="sm" variant="subtle" color="gray" aria-label={`More hours on ${name}`} onClick={() => set([...hours.spans, spanOf(day, NINE, FIVE)])}>
                  <IconPlus size={13} />
                </ActionIcon>
              )}
            </div>
          );
        })}
      </div>
      {!readOnly && (
        <Button size="compact-xs" variant="default" onClick={() => set(DAYS.map((_, day) => spanOf(day, 0, 0)))}>
          Open all the time
        </Button>
      )}
      {props.wrong("hours") !== undefined && <p className={classes.problem}>{props.wrong("hours")}</p>}
    </>
  );
}

function Time(props: { label: string; minute: number; onChange: (minute: number) => void; readOnly: boolean }) {
  return (
    <input
      type="time"
      className={classes.time}
      aria-label={props.label}
      value={clockOf(props.minute)}
      readOnly={props.readOnly}
      onChange={(event) => {
        const minute = minuteOf(event.currentTarget.value);
        if (minute !== undefined) props.onChange(minute);
      }}
    />
  );
}

