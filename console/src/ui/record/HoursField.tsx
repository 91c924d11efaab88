import { Checkbox, Group, Stack, Switch, Text } from "@mantine/core";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import type { Shapes } from "../../api/client";
import { count } from "../format";
import classes from "./Record.module.css";
import { clockOf, DAYS, openness, painted, type Span, weekText } from "./week";
import { ZoneSelect } from "./ZoneSelect";

type Hours = Shapes["Hours"];

const CELL_MINUTES = 30;
const CELLS = 48;
const OFFICE: readonly Span[] = [0, 1, 2, 3, 4].map((day) => ({ day, opens_minute: 540, closes_minute: 1020 }));

interface HoursFieldProps {
  value: Hours | null;
  onChange: (hours: Hours | null) => void;
  /** The zone where none is chosen yet. */
  zone: string;
  disabled?: boolean;
  error?: string | undefined;
}

/** When it is open: always, or by a week that is painted with the mouse or the keyboard. */
export function HoursField({ value, onChange, zone, disabled, error }: HoursFieldProps) {
  const dates = value === null ? 0 : value.closed_on.length + value.open_on.length;
  return (
    <Stack gap="sm">
      <Switch
        label="Open at any time"
        checked={value === null}
        disabled={disabled === true}
        onChange={(event) =>
          onChange(event.currentTarget.checked ? null : { time_zone: zone, spans: [...OFFICE], holidays: [], closed_on: [], open_on: [] })
        }
      />
      {value !== null && (
        <>
          <Group align="flex-end">
            <ZoneSelect
              label="Time zone of the hours"
              value={value.time_zone}
              disabled={disabled === true}
              onChange={(time_zone) => onChange({ ...value, time_zone })}
            />
            <Checkbox
              mb={8}
              label="Closed on US public holidays"
              disabled={disabled === true}
              checked={value.holidays.length > 0}
              onChange={(event) => onChange({ ...value, holidays: event.currentTarget.checked ? [{ calendar: "US", names: [] }] : [] })}
            />
          </Group>
          <Week spans={value.spans} disabled={disabled === true} onChange={(spans) => onChange({ ...value, spans })} />
          <Text size="sm">{weekText(value.spans)}</Text>
          {dates > 0 && <Text size="xs" c="dimmed">{`and ${count(dates)} dates with times of their own, which stay as they are`}</Text>}
        </>
      )}
      {error !== undefined && (
        <Text size="sm" c="var(--mantine-color-error)">
          {error}
        </Text>
      )}
    </Stack>
  );
}

interface Place {
  day: number;
  cell: number;
}

function Week({ spans, disabled, onChange }: { spans: readonly Span[]; disabled: boolean; onChange: (spans: Span[]) => void }) {
  const [focus, setFocus] = useState<Place>({ day: 0, cell: 18 });
  const [drag, setDrag] = useState<{ from: Place; open: boolean; before: readonly Span[] }>();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const stop = () => setDrag(undefined);
    window.addEventListener("pointerup", stop);
    return () => window.removeEventListener("pointerup", stop);
  }, []);
  const stateAt = ({ day, cell }: Place) => openness(spans, day, cell * CELL_MINUTES, (cell + 1) * CELL_MINUTES);
  const paint = (on: readonly Span[], from: Place, to: Place, open: boolean) => {
    const [first, last] = [Math.min(from.cell, to.cell), Math.max(from.cell, to.cell)];
    let next: Span[] = [...on];
    for (let day = Math.min(from.day, to.day); day <= Math.max(from.day, to.day); day++)
      next = painted(next, day, first * CELL_MINUTES, (last + 1) * CELL_MINUTES, open);
    onChange(next);
  };
  const move = (event: KeyboardEvent, by: Place) => {
    event.preventDefault();
    const next = { day: Math.max(0, Math.min(6, focus.day + by.day)), cell: Math.max(0, Math.min(CELLS - 1, focus.cell + by.cell)) };
    if (event.shiftKey && !disabled) paint(spans, focus, next, stateAt(focus) === "all");
    setFocus(next);
    box.current?.querySelector<HTMLElement>(`[data-place="${next.day} ${next.cell}"]`)?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") move(event, { day: 0, cell: -1 });
    else if (event.key === "ArrowRight") move(event, { day: 0, cell: 1 });
    else if (event.key === "ArrowUp") move(event, { day: -1, cell: 0 });
    else if (event.key === "ArrowDown") move(event, { day: 1, cell: 0 });
    else if ((event.key === " " || event.key === "Enter") && !disabled) {
      event.preventDefault();
      paint(spans, focus, focus, stateAt(focus) !== "all");
    }
  };
  return (
    <div className={classes.scroll}>
      <div ref={box} className={classes.week} role="grid" aria-label="Opening times: space opens or closes half an hour, shift and arrows go on with it">
        <div className={classes.weekRow} aria-hidden>
          <span />
          {Array.from({ length: 12 }, (_, place) => (
            <span key={place} className={classes.hour}>{`${String(place * 2).padStart(2, "0")}`}</span>
          ))}
        </div>
        {DAYS.map((name, day) => (
          <div key={name} role="row" className={classes.weekRow}>
            <span role="rowheader">{name.slice(0, 3)}</span>
            {Array.from({ length: CELLS }, (_, cell) => {
              const open = stateAt({ day, cell });
              const time = `${clockOf(cell * CELL_MINUTES)}`;
              return (
                <div
                  key={time}
                  role="gridcell"
                  className={classes.cell}
                  data-place={`${day} ${cell}`}
                  data-open={open}
                  aria-label={`${name} ${time}, ${open === "all" ? "open" : open === "part" ? "partly open" : "closed"}`}
                  tabIndex={focus.day === day && focus.cell === cell ? 0 : -1}
                  title={`${name} ${time}`}
                  onKeyDown={pressed}
                  onFocus={() => setFocus({ day, cell })}
                  onPointerDown={(event) => {
                    if (disabled) return;
                    event.currentTarget.releasePointerCapture(event.pointerId);
                    setDrag({ from: { day, cell }, open: open !== "all", before: spans });
                    paint(spans, { day, cell }, { day, cell }, open !== "all");
                  }}
                  onPointerEnter={() => {
                    if (drag !== undefined) paint(drag.before, drag.from, { day, cell }, drag.open);
                  }}
                />
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}
