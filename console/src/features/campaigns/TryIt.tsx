import { Button, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconPhoneCall } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { act, read, type Shapes } from "../../api/client";
import { useAccount } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import { instantIn } from "../../ui/record/zoned";
import { Money, Nothing, Status } from "../../ui/Values";
import classes from "./Campaigns.module.css";

type Advance = Shapes["Advance"];
type FlowInput = Shapes["StepBodyInput"]["input"];
type Told = Shapes["WhoWouldGet"];

interface Line {
  who: "flow" | "caller" | "end";
  text: string;
}
interface Standing {
  lines: Line[];
  moved: Advance | undefined;
  version: number | undefined;
  told: Told | undefined;
}

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const ATTESTATIONS = ["none", "A", "B", "C", "failed"];
const FIELDS = ["caller", "zip", "at"];

/** A simulated call: the flow, the decision and its trace, as the real engine has them; nothing is stored or dialled. */
export function TryIt({ id, flowId }: { id: string; flowId: string | null }) {
  const { timeZone } = useAccount();
  const [caller, setCaller] = useState("+14155550100");
  const [zip, setZip] = useState("");
  const [wall, setWall] = useState("");
  const [publisher, setPublisher] = useState<string>();
  const [attestation, setAttestation] = useState("none");
  const [digits, setDigits] = useState("");
  const [standing, setStanding] = useState<Standing>();
  const at = wall === "" ? null : instantIn(wall, timeZone);
  const described = { caller: caller === "" ? null : caller, publisher_id: publisher ?? null, at };

  const place = useMutation({
    mutationFn: async (input: FlowInput): Promise<Standing> => {
      const begins = input?.kind === "started";
      let next: Standing = begins || standing === undefined ? { lines: [], moved: undefined, version: undefined, told: undefined } : standing;
      if (flowId !== null) {
        const version = begins
          ? (await read("/api/flows/{id}/versions", { params: { path: { id: flowId } } })).items[0]?.version
          : next.version;
        const moved = await act("post", "/api/flows/{id}/step", {
          params: { path: { id: flowId } },
          body: {
            input,
            state: next.moved?.state ?? null,
            fields: next.moved?.fields ?? (zip === "" ? {} : { zip }),
            version: version ?? null,
            ...described,
          },
        });
        next = { ...next, version, moved, lines: [...next.lines, ...said(input), ...heard(moved)] };
      }
      if (flowId === null || next.moved?.onward.kind === "to_routing") {
        const told = await act("post", "/api/campaigns/{id}/who-would-get", {
          params: { path: { id } },
          body: { ...described, attestation, zip: zip === "" ? null : zip, fields: next.moved?.fields ?? {} },
        });
        next = { ...next, told };
      }
      return next;
    },
    onSuccess: (next) => {
      setStanding(next);
      setDigits("");
    },
  });
  const onward = standing?.moved?.onward;
  return (
    <div className={classes.try}>
      <Part title="The caller" note="nothing is dialled and nothing is stored">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            place.mutate({ kind: "started" });
          }}
        >
          <Stack gap="sm">
            <Group grow align="flex-start">
              <TextInput
                label="Caller"
                placeholder="hidden"
                value={caller}
                onChange={(event) => setCaller(event.currentTarget.value)}
                error={fieldError(place.error, "caller")}
              />
              <TextInput label="ZIP" placeholder="unknown" value={zip} onChange={(event) => setZip(event.currentTarget.value)} error={fieldError(place.error, "zip")} />
            </Group>
            <Group grow align="flex-start">
              <TextInput
                type="datetime-local"
                label="When (empty: now)"
                value={wall}
                onChange={(event) => setWall(event.currentTarget.value)}
                error={fieldError(place.error, "at")}
              />
              <Select label="Attestation" allowDeselect={false} data={ATTESTATIONS} value={attestation} onChange={(value) => setAttestation(value ?? "none")} />
            </Group>
            <NamePicker kind="publisher" label="Publisher" placeholder="Any publisher" value={publisher} onChange={setPublisher} />
            <ErrorNote error={place.error} shown={FIELDS} />
            <Button type="submit" leftSection={<IconPhoneCall size={16} />} loading={place.isPending}>
              {standing === undefined ? "Place a simulated call" : "Call again"}
            </Button>
          </Stack>
        </form>
        {onward?.kind === "ask_caller" && (
          <Stack gap="xs" mt="md">
            <Text size="sm">The flow waits for keys{onward.gather.max_digits > 1 ? ` (up to ${onward.gather.max_digits})` : ""}.</Text>
            <Group gap="xs" wrap="nowrap">
              <TextInput aria-label="Keys pressed" value={digits} onChange={(event) => setDigits(event.currentTarget.value.replace(/[^0-9*#]/g, ""))} />
              <Button disabled={digits === ""} loading={place.isPending} onClick={() => place.mutate({ kind: "digits", digits })}>
                Send
              </Button>
              <Button variant="default" loading={place.isPending} onClick={() => place.mutate({ kind: "silence" })}>
                Say nothing
              </Button>
            </Group>
            <div className={classes.keys}>
              {KEYS.map((key) => (
                <Button key={key} variant="default" aria-label={`Key ${key}`} onClick={() => setDigits((before) => before + key)}>
                  {key}
                </Button>
              ))}
            </div>
          </Stack>
        )}
        {onward?.kind === "ask_service" && (
          <Stack gap="xs" mt="md">
            <Text size="sm">{`The flow asks ${onward.url}; here nobody is asked.`}</Text>
            <Button variant="default" loading={place.isPending} onClick={() => place.mutate({ kind: "lookup_failed", code: "timeout" })}>
              Go on as if nobody answered
            </Button>
          </Stack>
        )}
      </Part>
      <Stack>
        {standing !== undefined && standing.lines.length > 0 && (
          <Part title="In the flow" note={standing.version === undefined ? "the draft, nothing is published" : `version ${standing.version}`}>
            <ol className={classes.talk}>
              {standing.lines.map((line, place) => (
                <li key={place} data-who={line.who}>
                  {line.text}
                </li>
              ))}
            </ol>
          </Part>
        )}
        {standing?.told !== undefined && <WhoGetsIt told={standing.told} />}
      </Stack>
    </div>
  );
}

function said(input: FlowInput): Line[] {
  if (input?.kind === "digits") return [{ who: "caller", text: `Presses ${input.digits}` }];
  if (input?.kind === "silence") return [{ who: "caller", text: "Says nothing" }];
  return [];
}

function heard(moved: Advance): Line[] {
  const lines = moved.spoken.map((one): Line => ({ who: "flow", text: one.kind === "say" ? one.text : `Plays ${one.url}` }));
  const { onward } = moved;
  if (onward.kind === "ask_caller")
    lines.push(...onward.gather.prompts.map((one): Line => ({ who: "flow", text: one.kind === "say" ? one.text : `Plays ${one.url}` })));
  if (onward.kind === "to_hangup") lines.push({ who: "end", text: `The flow hangs up${onward.code === "" ? "" : ` (${onward.code})`}` });
  if (onward.kind === "to_voicemail") lines.push({ who: "end", text: "The caller leaves a message" });
  if (onward.kind === "to_routing") {
    const fields = Object.entries(moved.fields).map(([name, value]) => `${name} ${value}`);
    lines.push({ who: "end", text: `On to routing${fields.length === 0 ? "" : ` with ${fields.join(", ")}`}` });
  }
  return lines;
}

function WhoGetsIt({ told }: { told: Told }) {
  const taken = told.decision.offers.find((one) => one.taken);
  const refused = Object.values(told.decision.refused).reduce((sum, one) => sum + one, 0);
  const weight = (one: Shapes["ToldOffer"]) => (one.taken ? 0 : one.rank === null ? 2 : 1);
  const offers = [...told.decision.offers].sort((left, right) => weight(left) - weight(right) || (left.rank ?? 0) - (right.rank ?? 0));
  return (
    <Part
      title={taken === undefined ? "Nobody would get it: the fallback does" : `${taken.offer} of ${taken.buyer} would get it`}
      note={`${refused} of ${told.decision.offers.length} offers refused`}
      flush
    >
      <Text size="xs" c="dimmed" px={16} pt={10}>
        {`Caller from ${told.caller_state ?? "an unknown state"}, area code ${told.area_code ?? "unknown"}, ZIP ${told.zip ?? "unknown"}; by ${told.decision.strategy.replace("_", " ")}, plan version ${told.decision.plan_version}`}
      </Text>
      <div className={classes.scroll} tabIndex={0} role="region" aria-label="Offers of this decision">
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Offer</th>
              <th scope="col">Outcome</th>
              <th scope="col">Why</th>
              <th scope="col" data-right>
                Price
              </th>
              <th scope="col" data-right>
                Rank
              </th>
            </tr>
          </thead>
          <tbody>
            {offers.map((one) => (
              <tr key={one.offer_id}>
                <td>
                  {one.offer}
                  <div className={classes.quiet}>{one.buyer}</div>
                </td>
                <td>
                  <Status tone={one.taken ? "good" : one.rank === null ? "rest" : "info"}>{one.taken ? "Taken" : one.code}</Status>
                </td>
                <td>{one.text}</td>
                <td data-right>
                  <Money amount={one.price} />
                </td>
                <td data-right>{one.rank ?? <Nothing />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}
