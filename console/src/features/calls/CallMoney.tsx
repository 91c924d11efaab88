import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { Shapes } from "../../api/client";
import { useMay } from "../../api/session";
import { isZero, words } from "../../ui/format";
import { Part } from "../../ui/Part";
import { Money, When } from "../../ui/Values";
import { AdjustDialog } from "./AdjustDialog";
import classes from "./Call.module.css";

interface CallMoneyProps {
  detail: Shapes["CallDetail"];
  money: Shapes["CallMoney"];
}

/** What a call came to, why, and how it was booked. */
export function CallMoney({ detail, money }: CallMoneyProps) {
  const [opened, acts] = useDisclosure();
  const mayAdjust = useMay("change") && !(isZero(money.credit_left) && isZero(money.clawback_left));
  return (
    <Part
      title="Money"
      note={money.revision > 1 ? `rated ${money.revision} times` : undefined}
      flush
      action={
        mayAdjust ? (
          <Button size="compact-sm" variant="default" onClick={acts.open}>
            Adjust
          </Button>
        ) : undefined
      }
    >
      <dl className={classes.sum}>
        {(["revenue", "payout", "cost", "profit"] as const).map((name) => (
          <div key={name}>
            <dt>{words(name)}</dt>
            <dd>
              <Money amount={money[name]} signed={name === "profit"} />
            </dd>
          </div>
        ))}
      </dl>
      <div className={classes.why}>
        <p>{money.revenue_text}</p>
        <p>{money.payout_text}</p>
      </div>
      {money.adjustments.length > 0 && (
        <div className={classes.why}>
          {money.adjustments.map((one) => (
            <p key={one.id}>
              <When at={one.at} /> {one.by}: {one.reason}.{" "}
              {!isZero(one.credit ?? "0") && (
                <>
                  Credit <Money amount={one.credit} />.{" "}
                </>
              )}
              {!isZero(one.clawback ?? "0") && (
                <>
                  Claw-back <Money amount={one.clawback} />.
                </>
              )}
            </p>
          ))}
        </div>
      )}
      {money.transactions.length > 0 && (
        <details className={classes.ledger}>
          <summary>{`${money.transactions.length} in the ledger`}</summary>
          {money.transactions.map((one) => (
            <div key={one.key}>
              <b>{words(one.kind)}</b> <When at={one.at} />
              <ul>
                {one.postings.map((line) => (
                  <li key={`${line.account} ${line.owner_id}`}>
                    <span>
                      {words(line.account)} <span className="cm-mono">{line.owner_id}</span>
                    </span>
                    <Money amount={line.amount} />
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </details>
      )}
      <AdjustDialog call={detail.call} money={money} opened={opened} onClose={acts.close} />
    </Part>
  );
}
