import { Button, Group, Stack, Switch } from "@mantine/core";
import { IconTrash, IconUsersGroup } from "@tabler/icons-react";
import { useState } from "react";
import type { Shapes } from "../../api/client";
import { useMay } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { fieldError } from "../../ui/ErrorNote";
import { Name } from "../../ui/Name";
import { NamePicker } from "../../ui/NamePicker";
import { Part } from "../../ui/Part";
import { OwnerCapMeters } from "../../ui/record/CapMeters";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { TermsFields } from "../../ui/record/PriceFields";
import classes from "../../ui/record/Record.module.css";
import type { Edit } from "../../ui/record/useEdit";

type Own = Shapes["PublisherInCampaign"];

const USUAL: Shapes["PublisherTerms"] = { payout: { kind: "share", share_bps: 6_500 }, only_if_converted: true, duplicates: null };

/** Publishers with terms or caps of their own in this campaign. */
export function PublishersTab({ edit, id }: { edit: Edit<"campaigns">; id: string }) {
  const disabled = !useMay("change");
  const [chosen, setChosen] = useState<string>();
  const own = edit.draft.publishers;
  const change = (place: number, one: Partial<Own>) =>
    edit.set({ publishers: own.map((publisher, at) => (at === place ? { ...publisher, ...one } : publisher)) });
  return (
    <Stack>
      <Part title="Terms of this campaign" note="for publishers without terms of their own here">
        <Switch
          label="The publisher’s usual terms hold"
          disabled={disabled}
          checked={edit.draft.terms === null}
          onChange={(event) => edit.set({ terms: event.currentTarget.checked ? null : USUAL })}
          mb={edit.draft.terms === null ? 0 : "sm"}
        />
        {edit.draft.terms !== null && (
          <TermsFields value={edit.draft.terms} disabled={disabled} onChange={(terms) => edit.set({ terms })} error={fieldError(edit.error, "terms")} />
        )}
      </Part>
      {own.length === 0 && (
        <Empty small icon={<IconUsersGroup size={22} />} title="Every publisher has their usual terms here">
          Add one below to give them another payout, caps or a pause in this campaign only.
        </Empty>
      )}
      {own.map((one, place) => (
        <Part
          key={one.publisher_id}
          title="Publisher"
          note={<Name id={one.publisher_id} />}
          action={
            !disabled && (
              <Button
                size="compact-xs"
                variant="default"
                leftSection={<IconTrash size={13} />}
                onClick={() => edit.set({ publishers: own.toSpliced(place, 1) })}
              >
                Usual terms again
              </Button>
            )
          }
        >
          <div className={classes.columns}>
            <Stack gap="sm">
              <Switch label="Paused in this campaign" disabled={disabled} checked={one.paused} onChange={(event) => change(place, { paused: event.currentTarget.checked })} />
              <Switch
                label="Terms of their own"
                disabled={disabled}
                checked={one.terms !== null}
                onChange={(event) => change(place, { terms: event.currentTarget.checked ? USUAL : null })}
              />
              {one.terms !== null && (
                <TermsFields
                  value={one.terms}
                  disabled={disabled}
                  onChange={(terms) => change(place, { terms })}
                  error={fieldError(edit.error, `publishers.${place}.terms`)}
                />
              )}
            </Stack>
            <Stack gap="sm">
              <LimitsFields
                whose="publisher"
                value={one.limits}
                disabled={disabled}
                onChange={(limits) => change(place, { limits })}
                error={fieldError(edit.error, `publishers.${place}.limits`)}
              />
              <OwnerCapMeters kind="publisher_in_campaign" id={`${one.publisher_id}/${id}`} />
            </Stack>
          </div>
        </Part>
      ))}
      {!disabled && (
        <Group align="flex-end">
          <NamePicker kind="publisher" label="Publisher to add" value={chosen} onChange={setChosen} />
          <Button
            variant="default"
            disabled={chosen === undefined || own.some((one) => one.publisher_id === chosen)}
            onClick={() => {
              if (chosen === undefined) return;
              const limits = { caps: [], concurrency: null, spacing_s: null };
              edit.set({ publishers: [...own, { publisher_id: chosen, terms: null, limits, when_capped: null, paused: false }] });
              setChosen(undefined);
            }}
          >
            Add
          </Button>
        </Group>
      )}
    </Stack>
  );
}
