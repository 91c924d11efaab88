import { Checkbox, NumberInput, SegmentedControl, Stack, Textarea, TextInput } from "@mantine/core";
import type { Shapes } from "../../../api/client";

type Prompt = Shapes["SpokenPromptInput"] | Shapes["PlayedPromptInput"];

interface FieldProps<T> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  error?: string | undefined;
  readOnly: boolean;
  note?: string;
}

/** A text that is spoken; what was captured can stand in it in braces. */
export function SpokenText(props: FieldProps<string> & { fields: readonly string[] }) {
  const known = props.fields.length === 0 ? "{caller_state}" : `{${props.fields.slice(0, 3).join("}, {")}}`;
  return (
    <Textarea
      label={props.label}
      description={props.note ?? `May say what was captured: ${known}`}
      autosize
      minRows={3}
      maxRows={10}
      value={props.value}
      error={props.error}
      readOnly={props.readOnly}
      onChange={(event) => props.onChange(event.currentTarget.value)}
    />
  );
}

export function OneLine(props: FieldProps<string> & { placeholder?: string }) {
  return (
    <TextInput
      label={props.label}
      description={props.note}
      placeholder={props.placeholder}
      value={props.value}
      error={props.error}
      readOnly={props.readOnly}
      onChange={(event) => props.onChange(event.currentTarget.value)}
    />
  );
}

export function Whole(props: FieldProps<number> & { min: number; max: number; suffix?: string }) {
  return (
    <NumberInput
      label={props.label}
      description={props.note}
      value={props.value}
      min={props.min}
      max={props.max}
      suffix={props.suffix}
      allowDecimal={false}
      error={props.error}
      readOnly={props.readOnly}
      onChange={(value) => {
        if (typeof value === "number") props.onChange(value);
      }}
    />
  );
}

export function Tick(props: FieldProps<boolean>) {
  return (
    <Checkbox
      label={props.label}
      description={props.note}
      checked={props.value}
      error={props.error}
      disabled={props.readOnly}
      onChange={(event) => props.onChange(event.currentTarget.checked)}
    />
  );
}

/** What the caller hears before they are asked: spoken, or a sound file. */
export function PromptFields(props: {
  prompt: Prompt;
  onChange: (prompt: Prompt) => void;
  wrong: (field: string) => string | undefined;
  fields: readonly string[];
  readOnly: boolean;
}) {
  const { prompt } = props;
  return (
    <Stack gap={6}>
      <SegmentedControl
        size="xs"
        aria-label="How the prompt is given"
        data={[
          { value: "say", label: "Spoken" },
          { value: "play", label: "Sound file" },
        ]}
        value={prompt.kind}
        disabled={props.readOnly}
        onChange={(kind) => props.onChange(kind === "say" ? { kind: "say", text: "" } : { kind: "play", url: "" })}
      />
      {prompt.kind === "say" ? (
        <>
          <SpokenText
            label="The caller hears"
            value={prompt.text}
            onChange={(text) => props.onChange({ ...prompt, text })}
            error={props.wrong("prompt.text") ?? props.wrong("prompt")}
            fields={props.fields}
            readOnly={props.readOnly}
          />
          <Language value={prompt.language} onChange={(language) => props.onChange({ ...prompt, language })} readOnly={props.readOnly} />
        </>
      ) : (
        <OneLine
          label="Sound file"
          placeholder="https://…/greeting.mp3"
          value={prompt.url}
          onChange={(url) => props.onChange({ ...prompt, url })}
          error={props.wrong("prompt.url") ?? props.wrong("prompt")}
          readOnly={props.readOnly}
        />
      )}
    </Stack>
  );
}

export function Language(props: { value: string | undefined; onChange: (language: string) => void; readOnly: boolean }) {
  return (
    <OneLine label="Language" placeholder="en-US" value={props.value ?? "en-US"} onChange={props.onChange} readOnly={props.readOnly} />
  );
}

/** How long a caller may take, and how often they are asked again. */
export function Patience<N extends { timeout_s?: number; retries?: number; barge_in?: boolean }>(props: {
  node: N;
  change: (node: N) => void;
  wrong: (field: string) => string | undefined;
  readOnly: boolean;
}) {
  const { node, change, wrong, readOnly } = props;
  return (
    <>
      <Whole
        label="Waits for keys"
        suffix=" s"
        min={1}
        max={60}
        value={node.timeout_s ?? 5}
        onChange={(timeout_s) => change({ ...node, timeout_s })}
        error={wrong("timeout_s")}
        readOnly={readOnly}
      />
      <Whole
        label="Asks again"
        suffix=" times"
        min={0}
        max={5}
        value={node.retries ?? 2}
        onChange={(retries) => change({ ...node, retries })}
        error={wrong("retries")}
        readOnly={readOnly}
      />
      <Tick
        label="Keys may be pressed while the prompt plays"
        value={node.barge_in ?? true}
        onChange={(barge_in) => change({ ...node, barge_in })}
        readOnly={readOnly}
      />
    </>
  );
}

export function promptTold(prompt: Prompt): string {
  return prompt.kind === "say" ? prompt.text : soundTold(prompt.url);
}

export function soundTold(url: string): string {
  const name = url.split("/").at(-1) ?? "";
  return name === "" ? "No sound file yet" : name;
}
