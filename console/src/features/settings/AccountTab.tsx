import { Button, Group, Select, Skeleton, Stack, Switch, TagsInput, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { act, question, type Shapes } from "../../api/client";
import { useMay } from "../../api/session";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { Part } from "../../ui/Part";
import { changedFields } from "../../ui/record/changes";
import { LimitsFields } from "../../ui/record/LimitsFields";
import classes from "../../ui/record/Record.module.css";
import { DAYS } from "../../ui/record/week";
import { ZoneSelect } from "../../ui/record/ZoneSelect";
import { useToast } from "../../ui/toasts";

const SHOWN = ["name", "currency", "time_zone", "limits", "test_phones"];

/** The account's name, currency, zone, week, limits and test phones. */
export function AccountTab() {
  const { data, error, refetch } = useQuery(question("/api/account"));
  if (error) return <ErrorNote error={error} retry={() => void refetch()} />;
  if (data === undefined) return <Skeleton height={240} />;
  return <Account key={data.revision} record={data} />;
}

function Account({ record }: { record: Shapes["AccountBodyRecord"] }) {
  const disabled = !useMay("admin");
  const [draft, setDraft] = useState(record.document);
  const cache = useQueryClient();
  const toast = useToast();
  const set = (change: Partial<typeof draft>) => setDraft((before) => ({ ...before, ...change }));
  const changed = changedFields(record.document, draft);
  const save = useMutation({
    mutationFn: () => act("put", "/api/account", { params: { header: { "If-Match": `"${record.revision}"` } }, body: draft }),
    onSuccess: async () => {
      toast({ text: "Saved." });
      await cache.invalidateQueries({ predicate: ({ queryKey: [first] }) => ["/api/account", "/api/session"].includes(String(first)) });
    },
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack>
        <div className={classes.columns}>
          <Part title="Account">
            <Stack gap="sm">
              <TextInput label="Name" disabled={disabled} value={draft.name} onChange={(event) => set({ name: event.currentTarget.value })} error={fieldError(save.error, "name")} />
              <TextInput
                label="Currency"
                description="Of all amounts; nothing is converted when it changes."
                disabled={disabled}
                value={draft.currency}
                onChange={(event) => set({ currency: event.currentTarget.value.toUpperCase() })}
                error={fieldError(save.error, "currency")}
              />
              <ZoneSelect label="Time zone" disabled={disabled} value={draft.time_zone} onChange={(time_zone) => set({ time_zone })} error={fieldError(save.error, "time_zone")} />
              <Select
                label="The week begins on"
                allowDeselect={false}
                disabled={disabled}
                data={DAYS.map((label, day) => ({ value: String(day), label }))}
                value={String(draft.week_starts_on)}
                onChange={(day) => set({ week_starts_on: Number(day ?? 0) })}
              />
              <TagsInput
                label="Test phones"
                description="Their calls touch no cap, ledger or report."
                placeholder="+14155550100"
                disabled={disabled}
                value={draft.test_phones}
                onChange={(test_phones) => set({ test_phones })}
                error={fieldError(save.error, "test_phones")}
              />
              <Switch label="Test calls ping bidders" disabled={disabled} checked={draft.test_calls_ping} onChange={(event) => set({ test_calls_ping: event.currentTarget.checked })} />
            </Stack>
          </Part>
          <Part title="Limits of the whole network">
            <LimitsFields value={draft.limits} disabled={disabled} onChange={(limits) => set({ limits })} error={fieldError(save.error, "limits")} />
          </Part>
        </div>
        <ErrorNote error={save.error} shown={SHOWN} />
        {!disabled && (
          <Group>
            <Button type="submit" loading={save.isPending} disabled={changed.length === 0}>
              Save
            </Button>
          </Group>
        )}
      </Stack>
    </form>
  );
}
