import { Button, Group, Popover, Stack, TextInput } from "@mantine/core";
import { IconCalendar, IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import { useAccount } from "../api/session";
import { dayOf, daysChosen, daysLater, PRESETS } from "./days";
import { instant } from "./format";

/** Chooses days by name, or from one date to another; both are days of the account's zone. */
export function DaysPicker(props: { value: string | undefined; onChange: (days: string | undefined) => void }) {
  const { timeZone } = useAccount();
  const today = dayOf(new Date(), timeZone);
  const [from, setFrom] = useState(daysLater(today, -6));
  const [to, setTo] = useState(today);
  const [opened, setOpened] = useState(false);
  const choose = (days: string | undefined) => {
    props.onChange(days);
    setOpened(false);
  };
  return (
    <Popover opened={opened} onChange={setOpened} width={250} position="bottom-start" shadow="md" trapFocus>
      <Popover.Target>
        <Button
          variant="default"
          justify="space-between"
          onClick={() => setOpened(!opened)}
          leftSection={<IconCalendar size={15} />}
          rightSection={<IconChevronDown size={14} />}
          c={props.value === undefined ? "var(--mantine-color-placeholder)" : undefined}
          styles={{ label: { fontWeight: 400 } }}
        >
          {told(props.value, timeZone)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={8}>
        <Stack gap={0}>
          {[[undefined, "Any time"] as const, ...Object.entries(PRESETS)].map(([days, label]) => (
            <Button
              key={label}
              variant={props.value === days ? "light" : "subtle"}
              color="gray"
              c="inherit"
              justify="flex-start"
              onClick={() => choose(days)}
            >
              {label}
            </Button>
          ))}
        </Stack>
        <Stack gap={6} p={8}>
          <TextInput type="date" size="xs" label="From" value={from} max={to} onChange={(event) => setFrom(event.currentTarget.value)} />
          <TextInput type="date" size="xs" label="To" value={to} min={from} onChange={(event) => setTo(event.currentTarget.value)} />
          <Group justify="flex-end">
            <Button size="compact-sm" disabled={from === "" || to === "" || from > to} onClick={() => choose(`${from}..${to}`)}>
              Show these days
            </Button>
          </Group>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function told(value: string | undefined, zone: string): string {
  if (value === undefined) return "Any time";
  const preset = Object.entries(PRESETS).find(([days]) => days === value);
  if (preset !== undefined) return preset[1];
  const { since } = daysChosen(value, zone, new Date());
  const last = value.split("..")[1];
  if (since === undefined || last === undefined) return "Any time";
  const short = (text: string) => text.replace(/, \d{4}$/, "");
  const ends = instant(`${last}T12:00:00Z`, "UTC", "day");
  const begins = instant(since, zone, "day");
  return begins === ends ? short(begins) : `${short(begins)} – ${short(ends)}`;
}
