import { IconGauge } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { question, type Shapes } from "../../api/client";
import { useName } from "../../api/names";
import { useAccount } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { count, money, words } from "../../ui/format";
import { Part } from "../../ui/Part";
import { share } from "./figures";
import classes from "./Overview.module.css";

const NEAR = 0.7;
const FULL = 0.9;
const SHOWN = 8;

type OwnerCaps = Shapes["OwnerCaps"];
type Cap = Shapes["ToldCap"];

/** Caps from 70 % of their limit on, the fullest first. */
export function CapsNear() {
  const { data } = useQuery({ ...question("/api/caps/near", { params: { query: { percent: NEAR * 100 } } }), refetchInterval: 30_000 });
  const near = (data?.items ?? [])
    .flatMap((owner) => owner.caps.map((cap) => ({ owner, cap, used: share(cap.used, cap.limit) })))
    .filter((one) => one.used >= NEAR)
    .sort((left, right) => right.used - left.used);
  return (
    <Part title="Caps near their limit" note={data === undefined ? undefined : count(near.length)} flush>
      {data !== undefined && near.length === 0 && (
        <Empty small icon={<IconGauge size={22} />} title="All caps have room">
          From 70 % of a limit on, the cap is shown here; from 90 % on, in red.
        </Empty>
      )}
      <ul className={classes.caps}>
        {near.slice(0, SHOWN).map(({ owner, cap, used }) => (
          <CapLine key={`${owner.owner.kind} ${owner.owner.id} ${cap.metric} ${cap.window}`} owner={owner} cap={cap} used={used} />
        ))}
      </ul>
      {near.length > SHOWN && <div className={classes.more}>{`and ${count(near.length - SHOWN)} more`}</div>}
    </Part>
  );
}

function CapLine({ owner, cap, used }: { owner: OwnerCaps; cap: Cap; used: number }) {
  const { currency, name: account } = useAccount();
  const [first, campaign] = owner.owner.id.split("/");
  const name = useName(owner.owner.kind === "account" ? undefined : first);
  const inCampaign = useName(campaign);
  const amount = (value: string) => (cap.metric === "revenue" || cap.metric === "payout" ? money(value, currency, "whole") : count(Number(value)));
  const whose = owner.owner.kind === "account" ? account : (name ?? "…");
  return (
    <li>
      <div className={classes.capHead}>
        <span className="cm-clip">
          {whose}
          {campaign !== undefined && <span className={classes.quiet}> in {inCampaign ?? "…"}</span>}
        </span>
        <span className="cm-number">{`${Math.floor(used * 100)}%`}</span>
      </div>
      <div className={classes.bar} role="img" aria-label={`${Math.floor(used * 100)} per cent used`}>
        <span data-tone={used >= FULL ? "bad" : "warn"} style={{ width: `${Math.min(100, used * 100)}%` }} />
      </div>
      <div className={classes.capFoot}>
        {`${amount(cap.used)} of ${amount(cap.limit)} ${words(cap.metric).toLowerCase()}${cap.metric === "revenue" || cap.metric === "payout" ? "" : "s"} `}
        {cap.window === "total" ? "in total" : `this ${cap.window}`}
      </div>
    </li>
  );
}
