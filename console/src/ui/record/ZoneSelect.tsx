import { Select } from "@mantine/core";

const USUAL = ["America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "UTC"];
const OTHERS = Intl.supportedValuesOf("timeZone").filter((name) => !USUAL.includes(name));
const spoken = (names: readonly string[]) => names.map((value) => ({ value, label: value.replaceAll("_", " ") }));

interface ZoneSelectProps {
  label?: string;
  value: string;
  onChange: (zone: string) => void;
  disabled?: boolean;
  error?: string | undefined;
}

/** Chooses an IANA time zone. */
export function ZoneSelect(props: ZoneSelectProps) {
  const known = USUAL.includes(props.value) || OTHERS.includes(props.value);
  return (
    <Select
      label={props.label ?? "Time zone"}
      searchable
      allowDeselect={false}
      limit={60}
      data={[
        { group: "United States", items: spoken(known ? USUAL : [props.value, ...USUAL]) },
        { group: "All", items: spoken(OTHERS) },
      ]}
      value={props.value}
      disabled={props.disabled === true}
      error={props.error}
      onChange={(value) => value !== null && props.onChange(value)}
    />
  );
}
