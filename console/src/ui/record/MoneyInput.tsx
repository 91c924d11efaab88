import { TextInput } from "@mantine/core";
import { useAccount } from "../../api/session";

interface MoneyInputProps {
  label: string;
  value: string;
  onChange: (amount: string) => void;
  error?: string | undefined;
  disabled?: boolean;
  description?: string;
  placeholder?: string;
}

/** An amount as a decimal text; it never becomes a number of the browser. */
export function MoneyInput(props: MoneyInputProps) {
  const { currency } = useAccount();
  return (
    <TextInput
      label={props.label}
      description={props.description}
      placeholder={props.placeholder}
      inputMode="decimal"
      leftSection={<span style={{ fontSize: 12 }}>{symbolOf(currency)}</span>}
      value={props.value}
      disabled={props.disabled === true}
      onChange={(event) => props.onChange(event.currentTarget.value.trim().replace(",", "."))}
      error={props.error}
    />
  );
}

function symbolOf(currency: string): string {
  const parts = new Intl.NumberFormat("en-US", { style: "currency", currency, currencyDisplay: "narrowSymbol" }).formatToParts(0);
  return parts.find((one) => one.type === "currency")?.value ?? currency;
}
