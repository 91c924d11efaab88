import { NumberInput, Select, Stack, Textarea, TextInput } from "@mantine/core";
import type { Shapes } from "../../api/client";
import { fieldError } from "../../ui/ErrorNote";
import { NamePicker } from "../../ui/NamePicker";

type Fallback = Shapes["CampaignBody"]["fallback"];

const KINDS: Record<Fallback["kind"], string> = {
  message: "Say something and hang up",
  voicemail: "Take a message",
  number: "Connect to a number that nobody pays for",
  offer: "Route to one more offer",
  busy: "A busy signal",
};

function fresh(kind: Fallback["kind"]): Fallback {
  switch (kind) {
    case "message":
      return { kind, text: "We are sorry. Nobody can take your call right now. Please try again later." };
    case "voicemail":
      return { kind, prompt: "Please leave a message after the tone.", max_s: 120 };
    case "number":
      return { kind, number: "+1" };
    case "offer":
      return { kind, offer_id: "" };
    case "busy":
      return { kind };
  }
}

/** What a caller gets whom no offer takes. */
export function FallbackFields(props: { value: Fallback; onChange: (fallback: Fallback) => void; error: unknown; readOnly: boolean }) {
  const { value, onChange, error, readOnly } = props;
  return (
    <Stack gap="sm" maw={520}>
      <Select
        label="The caller gets"
        allowDeselect={false}
        disabled={readOnly}
        data={Object.entries(KINDS).map(([key, label]) => ({ value: key, label }))}
        value={value.kind}
        onChange={(kind) => kind !== null && kind !== value.kind && onChange(fresh(kind as Fallback["kind"]))}
      />
      {value.kind === "message" && (
        <Textarea label="The caller hears" autosize minRows={2} readOnly={readOnly} value={value.text} error={fieldError(error, "fallback.text")} onChange={(event) => onChange({ ...value, text: event.currentTarget.value })} />
      )}
      {value.kind === "voicemail" && (
        <>
          <Textarea label="The caller hears" autosize minRows={2} readOnly={readOnly} value={value.prompt} error={fieldError(error, "fallback.prompt")} onChange={(event) => onChange({ ...value, prompt: event.currentTarget.value })} />
          <NumberInput
            label="Records at most"
            suffix=" s"
            min={5}
            max={600}
            allowDecimal={false}
            readOnly={readOnly}
            value={value.max_s}
            onChange={(max_s) => {
              if (typeof max_s === "number") onChange({ ...value, max_s });
            }}
          />
        </>
      )}
      {value.kind === "number" && (
        <TextInput label="Number" placeholder="+14155550100" readOnly={readOnly} value={value.number} error={fieldError(error, "fallback.number")} onChange={(event) => onChange({ ...value, number: event.currentTarget.value })} />
      )}
      {value.kind === "offer" && (
        <div>
          <NamePicker kind="offer" label="Fallback offer" value={value.offer_id === "" ? undefined : value.offer_id} onChange={(id) => onChange({ ...value, offer_id: id ?? "" })} />
          {fieldError(error, "fallback") !== undefined && (
            <p style={{ margin: "4px 0 0", fontSize: "var(--mantine-font-size-xs)", color: "var(--mantine-color-error)" }}>{fieldError(error, "fallback")}</p>
          )}
        </div>
      )}
    </Stack>
  );
}
