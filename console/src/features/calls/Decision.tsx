import { UnstyledButton } from "@mantine/core";
import { useState } from "react";
import type { Shapes } from "../../api/client";
import { count, words } from "../../ui/format";
import { Money, Nothing, Status } from "../../ui/Values";
import classes from "./Call.module.css";

const FIRST = 8;

/** Why this buyer: every offer of the plan, taken or refused, with the compared values. */
export function Decision({ decision }: { decision: Shapes["ToldDecision"] }) {
  const [all, setAll] = useState(false);
  const ordered = inOrder(decision.offers);
  const shown = all ? ordered : ordered.slice(0, FIRST);
  const taken = decision.offers.find((one) => one.taken);
  const refused = Object.values(decision.refused).reduce((sum, one) => sum + one, 0);
  return (
    <div className={classes.decision}>
      <div className={classes.decisionHead}>
        <span>
          {taken === undefined ? <b>Nobody could take it</b> : <b>{`${taken.offer} of ${taken.buyer}`}</b>}
          {` by ${words(decision.strategy).toLowerCase()}, plan version ${decision.plan_version}`}
          {decision.same_buyer && ", returned to the same buyer"}
        </span>
        <span className="cm-number">{`${count(refused)} of ${count(decision.offers.length)} offers refused`}</span>
      </div>
      {/* Wider than a phone: it scrolls inside. */}
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
            {shown.map((offer) => (
              <tr key={offer.offer_id} data-taken={offer.taken || undefined}>
                <td>
                  {offer.offer}
                  <span className={classes.sub}>{offer.buyer}</span>
                </td>
                <td>
                  <Status tone={offer.taken ? "good" : isEligible(offer) ? "info" : "rest"}>
                    {offer.taken ? "Taken" : words(offer.code)}
                  </Status>
                </td>
                <td title={valuesOf(offer)}>{offer.text}</td>
                <td data-right>
                  <Money amount={offer.price} />
                </td>
                <td data-right>{offer.rank ?? <Nothing />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {ordered.length > FIRST && (
        <UnstyledButton className={classes.more} onClick={() => setAll(!all)}>
          {all ? "Show fewer" : `Show all ${count(ordered.length)} offers`}
        </UnstyledButton>
      )}
    </div>
  );
}

type Offer = Shapes["ToldOffer"];

/** The taken one first, then by rank, then those that were eligible, then the rest as the plan has them. */
export function inOrder(offers: readonly Offer[]): Offer[] {
  const weight = (offer: Offer) => (offer.taken ? 0 : offer.rank !== null ? 1 : isEligible(offer) ? 2 : 3);
  return [...offers].sort((left, right) => weight(left) - weight(right) || (left.rank ?? 0) - (right.rank ?? 0));
}

function isEligible(offer: Offer): boolean {
  return offer.code === "outbid" || offer.code === "lower_tier";
}

/** The compared values as they were. */
function valuesOf(offer: Offer): string {
  return Object.entries(offer.values)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}
