import { NumberInput, Select, Skeleton, Stack, Switch } from "@mantine/core";
import { IconGavel } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { question } from "../../api/client";
import { useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { count } from "../../ui/format";
import { Part } from "../../ui/Part";
import { MoneyInput } from "../../ui/record/MoneyInput";
import type { Edit } from "../../ui/record/useEdit";
import { Nothing } from "../../ui/Values";
import classes from "./Campaigns.module.css";

const STATIC = [
  { value: "yes", label: "Offers with a static price take it" },
  { value: "no", label: "The fallback takes it" },
  { value: "above", label: "Static prices from an amount on" },
];

/** How auctions are held, and how the bidders of the plan fare. */
export function AuctionTab({ edit, id }: { edit: Edit<"campaigns">; id: string }) {
  const disabled = !useMay("change");
  const terms = edit.draft.auction;
  const { data, error, refetch } = useQuery({
    ...question("/api/campaigns/{id}/bidders", { params: { path: { id } } }),
    refetchInterval: 10_000,
  });
  const change = (some: Partial<typeof terms>) => edit.set({ auction: { ...terms, ...some } });
  return (
    <Stack>
      <Part title="How auctions are held">
        <Stack gap="sm" maw={520}>
          <NumberInput
            label="Deadline for bids"
            suffix=" ms"
            min={50}
            max={4000}
            disabled={disabled}
            value={terms.deadline_ms}
            onChange={(value) => change({ deadline_ms: Number(value) })}
            error={fieldError(edit.error, "auction.deadline_ms")}
          />
          <MoneyInput label="Bids under this do not rank" disabled={disabled} value={terms.reserve} onChange={(reserve) => change({ reserve })} error={fieldError(edit.error, "auction.reserve")} />
          <Select
            label="Where nobody bids"
            allowDeselect={false}
            disabled={disabled}
            data={STATIC}
            value={terms.static_fallback.kind}
            onChange={(kind) => {
              if (kind === "above") change({ static_fallback: { kind, amount: "0" } });
              else if (kind === "yes" || kind === "no") change({ static_fallback: { kind } });
            }}
          />
          {terms.static_fallback.kind === "above" && (
            <MoneyInput
              label="From"
              disabled={disabled}
              value={terms.static_fallback.amount}
              onChange={(amount) => change({ static_fallback: { kind: "above", amount } })}
            />
          )}
          <Switch
            label="Bidders may be told the caller’s number (their offer must allow it too)"
            disabled={disabled}
            checked={terms.share_number}
            onChange={(event) => change({ share_number: event.currentTarget.checked })}
          />
          <Switch
            label="Bidders may be told where the caller came from"
            disabled={disabled}
            checked={terms.share_source}
            onChange={(event) => change({ share_source: event.currentTarget.checked })}
          />
        </Stack>
      </Part>
      <Part title="Bidders" note="in this campaign, of the last day" flush>
        <ErrorNote error={error} retry={() => void refetch()} />
        {data === undefined && error === null && <Skeleton height={60} m={16} width="auto" />}
        {data?.items.length === 0 && (
          <Empty small icon={<IconGavel size={22} />} title="No offer of the plan asks for bids">
            Give an offer a bidder to ask its buyer for a live bid on each call.
          </Empty>
        )}
        {data !== undefined && data.items.length > 0 && (
          <div className={classes.scroll} tabIndex={0} role="region" aria-label="Bidders, table">
            <table className={classes.table}>
              <thead>
                <tr>
                  <th scope="col">Offer</th>
                  <th scope="col">Mode</th>
                  <th scope="col" data-right>
                    Sent
                  </th>
                  <th scope="col" data-right>
                    Bids of sent
                  </th>
                  <th scope="col" data-right>
                    Won of bids
                  </th>
                  <th scope="col" data-right>
                    Timeouts of sent
                  </th>
                  <th scope="col" data-right>
                    p95
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((one) => (
                  <tr key={one.offer_id}>
                    <td>
                      <Link to="/offers/$id" params={{ id: one.offer_id }} search={{ tab: "bidder" } as never}>
                        {one.offer}
                      </Link>
                    </td>
                    <td>{one.mode}</td>
                    <td data-right>{count(one.sent)}</td>
                    <td data-right>{bps(one.bid_rate_bps)}</td>
                    <td data-right>{bps(one.win_rate_bps)}</td>
                    <td data-right>{bps(one.timeout_rate_bps)}</td>
                    <td data-right>{one.p95_us === null ? <Nothing /> : `${count(Math.round(one.p95_us / 1000))} ms`}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Part>
    </Stack>
  );
}

function bps(share: number | null) {
  return share === null ? <Nothing /> : `${(share / 100).toFixed(1)}%`;
}
