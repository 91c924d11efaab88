import { Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { question, type Shapes } from "../../api/client";
import { useAccount } from "../../api/session";
import { ErrorNote } from "../ErrorNote";
import { count, money, words } from "../format";
import { When } from "../Values";
import classes from "./Record.module.css";

type Cap = Shapes["ToldCap"];
type Kind = Shapes["Owner"]["kind"];

const NEAR = 0.7;
const FULL = 0.9;

/** The caps of one owner with what is used of them now. */
export function OwnerCapMeters({ kind, id }: { kind: Kind; id: string }) {
  const { data, error, refetch } = useQuery({
    ...question("/api/caps", { params: { query: { owner: kind, id } } }),
    refetchInterval: 10_000,
  });
  if (error) return <ErrorNote error={error} retry={() => void refetch()} />;
  if (data === undefined) return <Skeleton height={60} />;
  return <CapMeters owner={data.items[0]} />;
}

/** What an owner allows and what is used of it: yellow from 70 % on, red from 90 %. */
export function CapMeters({ owner }: { owner: Shapes["OwnerCaps"] | undefined }) {
  if (owner === undefined || (owner.caps.length === 0 && owner.concurrency === null))
    return (
      <Text size="sm" c="dimmed">
        No caps are set.
      </Text>
    );
  return (
    <div className={classes.meters}>
      {owner.caps.map((cap) => (
        <CapMeter key={`${cap.metric} ${cap.window}`} cap={cap} />
      ))}
      {owner.concurrency !== null && (
        <Meter name="At the same time" used={owner.live / Math.max(1, owner.concurrency)} foot={`${count(owner.live)} of ${count(owner.concurrency)} now`} />
      )}
    </div>
  );
}

function CapMeter({ cap }: { cap: Cap }) {
  const { currency } = useAccount();
  const isMoney = cap.metric === "revenue" || cap.metric === "payout";
  const amount = (value: string) => (isMoney ? money(value, currency) : count(Number(value)));
  const limit = Number(cap.limit);
  const used = limit === 0 ? 1 : Number(cap.used) / limit;
  return (
    <Meter
      name={`${words(cap.metric)}${isMoney ? "" : "s"} ${cap.window === "total" ? "in total" : `this ${cap.window}`}`}
      used={used}
      foot={
        <>
          {`${amount(cap.used)} of ${amount(cap.limit)}`}
          {cap.resets_at !== null && (
            <>
              {", anew "}
              <When at={cap.resets_at} />
            </>
          )}
        </>
      }
    />
  );
}

function Meter({ name, used, foot }: { name: string; used: number; foot: React.ReactNode }) {
  const share = `${Math.floor(used * 100)}%`;
  return (
    <div>
      <div className={classes.meterHead}>
        <span>{name}</span>
        <span className="cm-number">{share}</span>
      </div>
      <div className={classes.bar} role="img" aria-label={`${share} used`}>
        <span data-tone={used >= FULL ? "bad" : used >= NEAR ? "warn" : undefined} style={{ width: `${Math.min(100, used * 100)}%` }} />
      </div>
      <div className={classes.sub}>{foot}</div>
    </div>
  );
}
