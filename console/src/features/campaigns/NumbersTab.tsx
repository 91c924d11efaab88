import { Button, Group, Select, Stack } from "@mantine/core";
import { IconHash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { question } from "../../api/client";
import { put, readAgain, type RecordOf } from "../../api/records";
import { useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import { assigned, inForce } from "../../ui/record/assignments";
import { useToast } from "../../ui/toasts";
import { Phone, RecordStatus } from "../../ui/Values";
import classes from "./Campaigns.module.css";

type Record = RecordOf<"numbers">;

const MOST = 200;

/** The numbers whose callers come here, and how many of them. */
export function NumbersTab({ id }: { id: string }) {
  const mayChange = useMay("change");
  const cache = useQueryClient();
  const toast = useToast();
  const [chosen, setChosen] = useState<string | null>(null);
  const [publisher, setPublisher] = useState<string>();
  const { data, error, refetch } = useQuery(question("/api/numbers", { params: { query: { limit: MOST } } }));
  const now = new Date();
  const numbers = (data?.items ?? []) as Record[];
  const here = numbers.filter((one) => inForce(one.document, now)?.split.some((share) => share.campaign_id === id));
  const free = numbers.filter((one) => one.document.status === "available");
  const change = async (number: Record, split: { campaign_id: string; percent: number }[], publisherId: string | null) => {
    const saved = await put("numbers", number.id, number.revision, assigned(number.document, split, publisherId, new Date()));
    await readAgain(cache, "numbers");
    return saved;
  };
  const assign = useMutation({
    mutationFn: async () => {
      const number = free.find((one) => one.id === chosen);
      if (number === undefined) return;
      const saved = await change(number, [{ campaign_id: id, percent: 100 }], publisher ?? null);
      setChosen(null);
      toast({
        text: `${phone(number.document.number)} leads here now.`,
        undo: async () => {
          await put("numbers", number.id, saved.revision, number.document);
          await readAgain(cache, "numbers");
        },
      });
    },
  });
  return (
    <Stack>
      <Part title="Numbers that lead here" flush>
        <ErrorNote error={error} retry={() => void refetch()} />
        {data !== undefined && here.length === 0 && (
          <Empty small icon={<IconHash size={22} />} title="No number leads here yet">
            Assign one below; its callers come here from then on.
          </Empty>
        )}
        {here.length > 0 && (
          <div className={classes.scroll} tabIndex={0} role="region" aria-label="Numbers, table">
            <table className={classes.table}>
              <thead>
                <tr>
                  <th scope="col">Number</th>
                  <th scope="col">State</th>
                  <th scope="col" data-right>
                    Share of callers
                  </th>
                  <th scope="col">Publisher</th>
                </tr>
              </thead>
              <tbody>
                {here.map((one) => (
                  <tr key={one.id}>
                    <td>
                      <Link to="/numbers/$id" params={{ id: one.id }}>
                        <Phone number={one.document.number} />
                      </Link>
                    </td>
                    <td>
                      <RecordStatus status={one.document.status} />
                    </td>
                    <td data-right>{`${inForce(one.document, now)?.split.find((share) => share.campaign_id === id)?.percent ?? 0}%`}</td>
                    <td>
                      <Name id={inForce(one.document, now)?.publisher_id} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Part>
      {mayChange && (
        <Part title="Assign a number">
          <Group align="flex-end">
            <Select
              label="Number"
              placeholder={free.length === 0 ? "None is available" : "Available numbers"}
              searchable
              data={free.map((one) => ({ value: one.id, label: phone(one.document.number) }))}
              value={chosen}
              onChange={setChosen}
            />
            <NamePicker kind="publisher" label="Publisher" placeholder="No publisher" value={publisher} onChange={setPublisher} />
            <Button disabled={chosen === null} loading={assign.isPending} onClick={() => assign.mutate()}>
              Assign
            </Button>
          </Group>
          <ErrorNote error={assign.error} />
        </Part>
      )}
    </Stack>
  );
}
