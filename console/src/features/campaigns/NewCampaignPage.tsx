import { Button, Checkbox, Group, NumberInput, Select, Stack, Stepper, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { question, type Shapes } from "../../api/client";
import { create, put, readAgain, type RecordOf } from "../../api/records";
import { useAccount } from "../../api/session";
import { Empty } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";
import { count, phone } from "../../ui/format";
import { NamePicker } from "../../ui/NamePicker";
import { Page } from "../../ui/Page";
import { Pairs } from "../../ui/Part";
import { assigned } from "../../ui/record/assignments";
import { HoursField } from "../../ui/record/HoursField";
import { LimitsFields } from "../../ui/record/LimitsFields";
import { priceText } from "../../ui/record/PriceFields";
import { weekText } from "../../ui/record/week";
import { useToast } from "../../ui/toasts";
import { IconTag } from "@tabler/icons-react";
import classes from "./Campaigns.module.css";
import { GoalFields, PlaceFields } from "./Fields";

interface Draft {
  name: string;
  vertical: string;
  geography: Shapes["Geography"];
  flow_id: string | null;
  hours: Shapes["Hours"] | null;
  limits: Shapes["Limits"];
  goals: Shapes["Goals"];
  strategy: Shapes["RoutingPlan"]["strategy"];
  max_attempts: number;
  numbers: string[];
  publisher: string | undefined;
  offers: string[];
}

const MOST = 200;
const STEPS = ["Vertical and geography", "Numbers", "Flow", "Offers", "Strategy", "Caps and hours", "Goals", "Review"];
const STRATEGIES: readonly { value: Draft["strategy"]; label: string; text: string }[] = [
  { value: "auction", label: "Auction", text: "Whoever pays most gets the call; buyers may bid live." },
  { value: "waterfall", label: "Waterfall", text: "Offers in the order that you give them." },
  { value: "weighted", label: "Weighted", text: "By chance, as often as their weights say." },
  { value: "round_robin", label: "Round robin", text: "Each in turn." },
];
const EMPTY: Draft = {
  name: "",
  vertical: "",
  geography: { states: [], unknown_passes: true },
  flow_id: null,
  hours: null,
  limits: { caps: [], concurrency: null, spacing_s: null },
  goals: { calls_per_day: null, target_cost_per_call: null, conversion_rate_bps: null },
  strategy: "auction",
  max_attempts: 5,
  numbers: [],
  publisher: undefined,
  offers: [],
};
// Which step a problem of the server is mended in.
const STEP_OF: readonly [string, number][] = [
  ["name", 0],
  ["vertical", 0],
  ["geography", 0],
  ["flow_id", 2],
  ["plan.entries", 3],
  ["plan", 4],
  ["limits", 5],
  ["hours", 5],
  ["goals", 6],
];

/** A campaign from nothing, step by step; it begins as a draft. */
export function NewCampaignPage() {
  const { timeZone, currency } = useAccount();
  const [step, setStep] = useState(0);
  const [draft, setDraft] = useState(EMPTY);
  const narrow = useMediaQuery("(max-width: 62em)") === true;
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));
  const cache = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const numbers = useQuery(question("/api/numbers", { params: { query: { limit: MOST, status: "available" } } }));
  const offers = useQuery(question("/api/offers", { params: { query: { limit: MOST } } }));
  const flows = useQuery(question("/api/flows", { params: { query: { limit: MOST } } }));
  const standings = useQuery(question("/api/flow-standings"));
  const versions = new Map(standings.data?.items.map((one) => [one.flow_id, one.version]));
  const published = (flows.data?.items ?? []).filter((one) => (versions.get(one.id) ?? null) !== null);
  const chosenOffers = draft.offers.flatMap((id) => offers.data?.items.find((one) => one.id === id) ?? []);
  const [made, setMade] = useState<RecordOf<"campaigns">>();

  const build = useMutation({
    mutationFn: async () => {
      const { numbers: wanted, publisher, offers: taking, strategy, max_attempts, ...rest } = draft;
      const plan = { strategy, max_attempts, entries: taking.map((offer_id, place) => ({ offer_id, priority: strategy === "waterfall" ? place + 1 : 1 })) };
      const campaign = made ?? (await create("campaigns", { ...rest, time_zone: timeZone, plan }));
      setMade(campaign);
      for (const id of wanted) {
        const number = numbers.data?.items.find((one) => one.id === id) as RecordOf<"numbers"> | undefined;
        if (number === undefined) continue;
        const share = { campaign_id: campaign.id, percent: 100 };
        await put("numbers", id, number.revision, assigned(number.document, [share], publisher ?? null, new Date()));
      }
      return campaign;
    },
    onSuccess: async (campaign) => {
      await readAgain(cache, "campaigns", "numbers");
      toast({ text: `${campaign.document.name} is there, as a draft. Try it, then go live.` });
      await navigate({ to: "/campaigns/$id", params: { id: campaign.id }, search: { tab: "try" } as never });
    },
  });
  const problemSteps = new Set(
    ((build.error as { problems?: readonly { field: string }[] } | null)?.problems ?? []).map(
      (problem) => STEP_OF.find(([field]) => problem.field === field || problem.field.startsWith(`${field}.`))?.[1] ?? 7,
    ),
  );
  const ready = draft.name.trim() !== "" && draft.vertical.trim() !== "";
  const toggle = (list: "numbers" | "offers", id: string, on: boolean) =>
    setDraft((before) => ({ ...before, [list]: on ? [...before[list], id] : before[list].filter((one) => one !== id) }));
  return (
    <Page title="New campaign" above={{ to: "/campaigns", label: "Campaigns" }}>
      <div className={classes.wizard}>
        {narrow ? (
          <Text size="sm" c="dimmed">{`Step ${step + 1} of ${STEPS.length}`}</Text>
        ) : (
          <Stepper active={step} onStepClick={setStep} size="xs" orientation="vertical" allowNextStepsSelect={ready} className={classes.steps ?? ""}>
            {STEPS.map((name, place) => (
              <Stepper.Step key={name} label={name} {...(problemSteps.has(place) ? { color: "red" } : {})} />
            ))}
          </Stepper>
        )}
        <div className={`cm-card ${classes.stepBody}`}>
          <h2>{STEPS[step]}</h2>
          {step === 0 && <PlaceFields value={draft} onChange={set} error={build.error} />}
          {step === 1 && (
            <Stack gap="sm">
              <Text size="sm" c="dimmed">
                Callers of these numbers come to the campaign. More can be assigned at any time.
              </Text>
              {numbers.data?.items.length === 0 && <Text size="sm">No number is available. Add some under Numbers; the campaign can be made without.</Text>}
              <div className={classes.checks}>
                {numbers.data?.items.map((one) => (
                  <Checkbox
                    key={one.id}
                    label={phone(one.document.number)}
                    checked={draft.numbers.includes(one.id)}
                    onChange={(event) => toggle("numbers", one.id, event.currentTarget.checked)}
                  />
                ))}
              </div>
              <NamePicker kind="publisher" label="Publisher" placeholder="Publisher that brings these calls (optional)" value={draft.publisher} onChange={(publisher) => set({ publisher })} />
            </Stack>
          )}
          {step === 2 && (
            <Select
              label="Flow"
              description="What callers hear before they are routed. Without one they are routed at once."
              placeholder="Straight to routing"
              clearable
              data={published.map((one) => ({ value: one.id, label: one.document.name }))}
              value={draft.flow_id}
              onChange={(flow_id) => set({ flow_id })}
            />
          )}
          {step === 3 && (
            <Stack gap="sm">
              {offers.data?.items.length === 0 && (
                <Empty small icon={<IconTag size={22} />} title="No offers yet">
                  An offer is what a buyer pays for a kind of call. Add some under Offers, then put them into the routing plan.
                </Empty>
              )}
              <div className={classes.checks}>
                {offers.data?.items.map((one) => (
                  <Checkbox
                    key={one.id}
                    label={one.document.name}
                    description={priceText(one.document.price, currency)}
                    checked={draft.offers.includes(one.id)}
                    onChange={(event) => toggle("offers", one.id, event.currentTarget.checked)}
                  />
                ))}
              </div>
            </Stack>
          )}
          {step === 4 && (
            <Stack gap="sm">
              <Select
                label="Strategy"
                allowDeselect={false}
                data={STRATEGIES.map(({ value, label }) => ({ value, label }))}
                value={draft.strategy}
                onChange={(value) => set({ strategy: STRATEGIES.find((one) => one.value === value)?.value ?? "auction" })}
              />
              <Text size="sm" c="dimmed">
                {STRATEGIES.find((one) => one.value === draft.strategy)?.text}
              </Text>
              <NumberInput
                label="Attempts, at most"
                description="How many buyers are rung for one call before the fallback."
                min={1}
                max={10}
                value={draft.max_attempts}
                onChange={(value) => set({ max_attempts: Number(value) || 1 })}
              />
            </Stack>
          )}
          {step === 5 && (
            <Stack>
              <LimitsFields value={draft.limits} onChange={(limits) => set({ limits })} />
              <HoursField value={draft.hours} zone={timeZone} onChange={(hours) => set({ hours })} />
            </Stack>
          )}
          {step === 6 && <GoalFields value={draft.goals} onChange={(goals) => set({ goals })} error={build.error} />}
          {step === 7 && (
            <Stack>
              <Pairs
                pairs={[
                  ["Name", draft.name],
                  ["Vertical", draft.vertical],
                  ["States", draft.geography.states.length === 0 ? "Everywhere" : draft.geography.states.join(", ")],
                  ["Numbers", count(draft.numbers.length)],
                  ["Flow", published.find((one) => one.id === draft.flow_id)?.document.name ?? "Straight to routing"],
                  ["Offers", chosenOffers.length === 0 ? "None yet: calls go to the fallback" : chosenOffers.map((one) => one.document.name).join(", ")],
                  ["Strategy", STRATEGIES.find((one) => one.value === draft.strategy)?.label],
                  ["Caps", draft.limits.caps.length === 0 ? "None" : count(draft.limits.caps.length)],
                  ["Hours", draft.hours === null ? "Always" : weekText(draft.hours.spans)],
                  ["Calls a day, goal", draft.goals.calls_per_day ?? "None"],
                ]}
              />
              <ErrorNote error={build.error} />
              {made !== undefined && build.error !== null && <Text size="sm">The campaign is made; trying again assigns its numbers.</Text>}
            </Stack>
          )}
          <Group justify="space-between" mt="lg">
            <Button variant="default" disabled={step === 0} onClick={() => setStep(step - 1)}>
              Back
            </Button>
            {step < STEPS.length - 1 ? (
              <Button disabled={!ready} onClick={() => setStep(step + 1)}>
                Next
              </Button>
            ) : (
              <Button loading={build.isPending} disabled={!ready} onClick={() => build.mutate()}>
                Make the campaign
              </Button>
            )}
          </Group>
        </div>
      </div>
    </Page>
  );
}
