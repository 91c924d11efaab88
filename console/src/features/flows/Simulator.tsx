import { Button, Group, NumberInput, Text, TextInput } from "@mantine/core";
import { IconPhone, IconPhoneOff } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { act, type Shapes } from "../../api/client";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import classes from "./Flow.module.css";
import { isWhole, stepped, type Trial, unbegun } from "./trial";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"] as const;
const MOST_DRAW = 2 ** 31;
const MOST_KEYS = 32;

type Input = NonNullable<Shapes["StepBodyInput"]["input"]>;

interface SimulatorProps {
  id: string;
  /** Saves what is on the canvas; whether the server has it. */
  flush: () => Promise<boolean>;
  trial: Trial | undefined;
  onTrial: (trial: Trial | undefined) => void;
}

/** A telephone on which the flow is heard: every key is answered by the server's own engine. */
export function Simulator(props: SimulatorProps) {
  const { trial, onTrial } = props;
  const [caller, setCaller] = useState("+14155550100");
  const [at, setAt] = useState("");
  const [seed, setSeed] = useState<number | string>("");
  const [keys, setKeys] = useState("");
  const [unsaved, setUnsaved] = useState(false);
  const end = useRef<HTMLDivElement>(null);
  const pad = useRef<HTMLDivElement>(null);
  const step = useMutation({
    mutationFn: async (given: { input: Input; pressed?: string; from: Trial }) => {
      const state = given.from.advance?.state;
      const answer = await act("post", "/api/flows/{id}/step", {
        params: { path: { id: props.id } },
        body: {
          input: given.input,
          state: state ?? null,
          fields: given.from.advance?.fields ?? {},
          caller: caller.trim() === "" ? null : caller.trim(),
          at: at === "" ? null : new Date(at).toISOString(),
          draw: given.from.draw,
        },
      });
      return stepped(given.from, given.pressed, answer);
    },
    onSuccess: onTrial,
  });
  const lines = trial?.lines ?? [];
  useEffect(() => {
    end.current?.scrollIntoView({ block: "nearest" });
  }, [lines.length]);
  const onward = trial?.advance?.onward;
  const gather = onward?.kind === "ask_caller" ? onward.gather : undefined;
  const over = onward !== undefined && onward.kind !== "ask_caller" && onward.kind !== "ask_service";

  const begin = async () => {
    setKeys("");
    step.reset();
    const fine = await props.flush();
    setUnsaved(!fine);
    if (!fine) return;
    const fresh = unbegun(typeof seed === "number" ? seed : Math.floor(Math.random() * MOST_DRAW));
    onTrial(fresh);
    step.mutate({ input: { kind: "started" }, from: fresh });
    pad.current?.focus();
  };
  const send = (digits: string) => {
    if (trial === undefined) return;
    setKeys("");
    const input: Input = digits === "" ? { kind: "silence" } : { kind: "digits", digits };
    step.mutate({ input, pressed: digits === "" ? "(waits)" : digits, from: trial });
  };
  const press = (key: string) => {
    if (gather === undefined || step.isPending) return;
    if (key === gather.finish_key) return send(keys);
    const next = (keys + key).slice(0, MOST_KEYS);
    if (isWhole(trial?.advance, next)) return send(next);
    setKeys(next);
  };
  return (
    <>
      <Group gap={8} align="flex-end" wrap="nowrap">
        <TextInput
          flex={1}
          miw={0}
          label="Caller"
          placeholder="hidden"
          value={caller}
          error={fieldError(step.error, "caller")}
          onChange={(event) => setCaller(event.currentTarget.value)}
        />
        <Button onClick={() => void begin()} loading={step.isPending && lines.length === 0} leftSection={<IconPhone size={16} />}>
          {trial === undefined ? "Call" : "Again"}
        </Button>
      </Group>
      <Group gap={8} grow className={classes.settings} data-on={trial !== undefined || undefined}>
        <TextInput label="Time" description="now where it is empty" type="datetime-local" value={at} onChange={(event) => setAt(event.currentTarget.value)} />
        <NumberInput label="Chance" description="of splits; by lot" min={0} allowDecimal={false} hideControls value={seed} onChange={setSeed} />
      </Group>
      {unsaved && (
        <Text size="sm" c="var(--cm-bad)" role="alert">
          What is on the canvas could not be saved yet. Mend the nodes with problems first.
        </Text>
      )}
      <ErrorNote error={step.error} shown={["caller"]} />
      {trial !== undefined && (
        <div className={classes.heard} role="log" aria-label="What the caller hears">
          {lines.map((line, place) => (
            <div key={place} data-who={line.who}>
              {line.text}
            </div>
          ))}
          <div ref={end} aria-hidden style={{ padding: 0 }} />
        </div>
      )}
      {onward?.kind === "ask_service" && trial !== undefined && (
        <Service
          read={Object.keys(onward.read)}
          onAnswer={(values) => step.mutate({ input: { kind: "lookup_answered", values }, pressed: undefined, from: trial })}
          onFail={() => step.mutate({ input: { kind: "lookup_failed", code: "timed_out" }, pressed: undefined, from: trial })}
        />
      )}
      {trial !== undefined && (
        <div
          ref={pad}
          tabIndex={-1}
          onKeyDown={(event) => {
            if (KEYS.includes(event.key as "1") && !event.ctrlKey && !event.metaKey) {
              event.preventDefault();
              press(event.key);
            }
          }}
          style={{ outline: "none" }}
        >
          <div className={classes.typed} aria-live="polite">
            {keys}
          </div>
          <div className={classes.keypad} role="group" aria-label="Keypad">
            {KEYS.map((key) => (
              <button key={key} type="button" className={classes.key} disabled={gather === undefined} onClick={() => press(key)}>
                {key}
              </button>
            ))}
          </div>
          <Group justify="center" gap={8} mt={10}>
            <Button size="xs" variant="default" disabled={gather === undefined} onClick={() => send(keys)}>
              {keys === "" ? "Press nothing" : "That is all"}
            </Button>
            <Button size="xs" variant="default" leftSection={<IconPhoneOff size={14} />} onClick={() => onTrial(undefined)}>
              {over ? "Clear" : "Hang up"}
            </Button>
          </Group>
        </div>
      )}
      {trial?.advance !== undefined && Object.keys(trial.advance.fields).length > 0 && (
        <Text size="xs" c="dimmed">
          {`Captured: ${Object.entries(trial.advance.fields)
            .map(([name, value]) => `${name} = ${value}`)
            .join(", ")}`}
        </Text>
      )}
      {trial === undefined && (
        <Text size="sm" c="dimmed">
          Call the draft and press keys, here or on your keyboard. Nothing is stored, nobody is rung, and the way lights up on the canvas.
        </Text>
      )}
    </>
  );
}

/** What the caller's own service would answer. */
function Service(props: { read: readonly string[]; onAnswer: (values: Record<string, string>) => void; onFail: () => void }) {
  const [values, setValues] = useState<Record<string, string>>({});
  return (
    <div className="cm-card" style={{ padding: 12 }}>
      <Text size="sm" mb={6}>
        Your service answers
      </Text>
      {props.read.map((name) => (
        <TextInput
          key={name}
          size="xs"
          mb={6}
          label={name}
          value={values[name] ?? ""}
          onChange={(event) => {
            const value = event.currentTarget.value;
            setValues((before) => ({ ...before, [name]: value }));
          }}
        />
      ))}
      <Group gap={6}>
        <Button size="xs" onClick={() => props.onAnswer(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "")))}>
          Answer so
        </Button>
        <Button size="xs" variant="default" onClick={props.onFail}>
          No answer
        </Button>
      </Group>
    </div>
  );
}
