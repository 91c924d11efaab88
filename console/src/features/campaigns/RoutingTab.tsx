import { Button, Switch } from "@mantine/core";
import { IconRoute, IconTag } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { question } from "../../api/client";
import { put, readAgain, type RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";
import { count, percent } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Part } from "../../ui/Part";
import { useToast } from "../../ui/toasts";
import { Money } from "../../ui/Values";
import classes from "./Campaigns.module.css";

/** The offers that take part, what each brought today, and the way to the plan's editor. */
export function RoutingTab({ record }: { record: RecordOf<"campaigns"> }) {
  const mayChange = useMay("change");
  const cache = useQueryClient();
  const toast = useToast();
  const { plan } = record.document;
  const { data } = useQuery({
    ...question("/api/facts", {
      params: { query: { metrics: "connected,converted,revenue", by: "offer_id", range: "today", campaign_id: record.id, limit: 1000 } },
    }),
    refetchInterval: 10_000,
  });
  const figures = new Map(data?.groups.map((one) => [one.by.offer_id, one.figures]));
  const pause = useMutation({
    mutationFn: ({ place, paused }: { place: number; paused: boolean }) => {
      const entries = plan.entries.map((one, at) => (at === place ? { ...one, paused } : one));
      return put("campaigns", record.id, record.revision, { ...record.document, plan: { ...plan, entries } });
    },
    onSuccess: async (_, { paused }) => {
      toast({ text: paused ? "It gets no calls of this campaign from now on." : "It takes part again." });
      await readAgain(cache, "campaigns");
    },
  });
  const edit = mayChange && (
    <Link to={`/campaigns/${record.id}/plan` as string} className="cm-plain">
      <Button component="span" leftSection={<IconRoute size={16} />} size="xs">
        Edit the routing plan
      </Button>
    </Link>
  );
  return (
    <Part title="Offers of the plan" note={`by ${plan.strategy.replace("_", " ")}, at most ${plan.max_attempts} attempts`} action={edit} flush>
      <ErrorNote error={pause.error} />
      {plan.entries.length === 0 ? (
        <Empty icon={<IconTag size={22} />} title="No offer takes part yet" action={edit}>
          Calls go to the fallback until the routing plan has an offer.
        </Empty>
      ) : (
        <div className={classes.scroll} tabIndex={0} role="region" aria-label="Offers of the plan, table">
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col">Offer</th>
                <th scope="col" data-right>
                  Priority
                </th>
                <th scope="col" data-right>
                  Weight
                </th>
                <th scope="col" data-right>
                  Connected
                </th>
                <th scope="col" data-right>
                  Converted
                </th>
                <th scope="col" data-right>
                  Revenue
                </th>
                <th scope="col">Takes part</th>
              </tr>
            </thead>
            <tbody>
              {plan.entries.map((entry, place) => {
                const today = figures.get(entry.offer_id);
                return (
                  <tr key={entry.offer_id}>
                    <td>
                      <Link to="/offers/$id" params={{ id: entry.offer_id }}>
                        <Name id={entry.offer_id} />
                      </Link>
                    </td>
                    <td data-right>{entry.priority}</td>
                    <td data-right>{entry.weight}</td>
                    <td data-right>{count(today?.connected ?? 0)}</td>
                    <td data-right>
                      {count(today?.converted ?? 0)} <small>{percent(today?.converted ?? 0, today?.connected ?? 0)}</small>
                    </td>
                    <td data-right>
                      <Money amount={today?.revenue ?? "0"} round="cents" />
                    </td>
                    <td>
                      <Switch
                        aria-label="Takes part"
                        disabled={!mayChange || pause.isPending}
                        checked={!entry.paused}
                        onChange={(event) => pause.mutate({ place, paused: !event.currentTarget.checked })}
                      />
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Part>
  );
}
