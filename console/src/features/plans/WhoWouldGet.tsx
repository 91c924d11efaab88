import { Button, Group, Stack, Text, TextInput, UnstyledButton } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { act, type Shapes } from "../../api/client";
import { useAccount } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count, words } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import { instantIn } from "../../ui/record/zoned";
import { Money, Status } from "../../ui/Values";
import classes from "./Plan.module.css";

const FIRST = 12;
const PAUSE_MS = 300;
const FIELDS = ["caller", "zip", "at"];

/** Who would get a call, by the engine that decides: every offer, taken or refused, with the reason. */
export function WhoWouldGet(props: { id: string; revision: number; changed: boolean }) {
  const { timeZone } = useAccount();
  const [caller, setCaller] = useState("+14155550100");
  const [zip, setZip] = useState("");
  const [wall, setWall] = useState("");
  const [publisher, setPublisher] = useState<string>();
  const [draw, setDraw] = useState(0);
  const [all, setAll] = useState(false);
  const described = {
    caller: caller.trim() === "" ? null : caller.trim(),
    zip: zip.trim() === "" ? null : zip.trim(),
    at: wall === "" ? null : instantIn(wall, timeZone),
    publisher_id: publisher ?? null,
    draw,
  };
  const [asked] = useDebouncedValue(described, PAUSE_MS);
  const { data, error } = useQuery({
    queryKey: ["who-would-get", props.id, props.revision, asked],
    queryFn: () => act("post", "/api/campaigns/{id}/who-would-get", { params: { path: { id: props.id } }, body: asked }),
    placeholderData: keepPreviousData,
    retry: false,
  });
  return (
    <Part title="Who would get a call" note={props.changed ? "as the plan is saved" : undefined}>
      <Stack gap="sm">
        <Group grow align="flex-start">
          <TextInput label="From" placeholder="hidden" value={caller} error={fieldError(error, "caller")} onChange={(event) => setCaller(event.currentTarget.value)} />
          <TextInput label="ZIP" placeholder="unknown" value={zip} error={fieldError(error, "zip")} onChange={(event) => setZip(event.currentTarget.value)} />
        </Group>
        <TextInput type="datetime-local" label="At (empty: now)" value={wall} error={fieldError(error, "at")} onChange={(event) => setWall(event.currentTarget.value)} />
        <Group wrap="nowrap" gap={8}>
          <div style={{ flex: 1 }}>
            <NamePicker kind="publisher" label="Publisher" placeholder="No publisher" value={publisher} onChange={setPublisher} />
          </div>
          <Button variant="default" onClick={() => setDraw(Math.floor(Math.random() * 2 ** 31))}>
            Draw again
          </Button>
        </Group>
        <ErrorNote error={error} shown={FIELDS} />
        {data !== undefined && <Told told={data} all={all} onAll={() => setAll(!all)} />}
      </Stack>
    </Part>
  );
}

function Told({ told, all, onAll }: { told: Shapes["WhoWouldGet"]; all: boolean; onAll: () => void }) {
  const { decision } = told;
  const ordered = [...decision.offers].sort((left, right) => weight(left) - weight(right) || (left.rank ?? 0) - (right.rank ?? 0));
  const taken = ordered.find((one) => one.taken);
  const shown = all ? ordered : ordered.slice(0, FIRST);
  return (
    <>
      <div className={classes.answer} data-nobody={taken === undefined || undefined} role="status">
        {taken === undefined ? (
          <b>Nobody can take it: it goes to the fallback.</b>
        ) : (
          <>
            <b>{`${taken.offer} of ${taken.buyer}`}</b> would get it.
          </>
        )}
        <Text size="xs" c="dimmed">
          {[
            told.caller_state === null ? "State unknown" : `From ${told.caller_state}`,
            told.zip === null ? "no ZIP" : `ZIP ${told.zip}`,
            `by ${words(decision.strategy).toLowerCase()}`,
          ].join(", ")}
        </Text>
      </div>
      <ul className={classes.told} aria-label="Offers, taken and refused">
        {shown.map((offer) => (
          <li key={offer.offer_id}>
            <div>
              <Status tone={offer.taken ? "good" : isEligible(offer) ? "info" : "rest"}>
                {offer.taken ? `${offer.offer}: taken` : `${offer.offer}: ${words(offer.code).toLowerCase()}`}
              </Status>
              <Money amount={offer.price} />
            </div>
            <p>{`${offer.buyer} · ${offer.text}`}</p>
          </li>
        ))}
      </ul>
      {ordered.length > FIRST && (
        <UnstyledButton c="var(--cm-info)" fz="xs" onClick={onAll}>
          {all ? "Show fewer" : `Show all ${count(ordered.length)} offers`}
        </UnstyledButton>
      )}
    </>
  );
}

function isEligible(offer: Shapes["ToldOffer"]): boolean {
  return offer.code === "outbid" || offer.code === "lower_tier";
}

function weight(offer: Shapes["ToldOffer"]): number {
  return offer.taken ? 0 : offer.rank !== null ? 1 : isEligible(offer) ? 2 : 3;
}
