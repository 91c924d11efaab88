import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { recordOf } from "../../api/records";
import { ErrorNote } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";
import { PlanEditor } from "./PlanEditor";

/** The routing plan of one campaign. */
export function PlanPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery(recordOf("campaigns", id));
  const above = { to: `/campaigns/${id}`, label: data?.document.name ?? "Campaign" };
  return (
    <Page title="Routing plan" name={data === undefined ? "Routing plan" : `Routing plan of ${data.document.name}`} above={above}>
      <ErrorNote error={error} retry={() => void refetch()} />
      {data === undefined && error === null && <Skeleton height={360} role="status" aria-label="Reading the plan" />}
      {data !== undefined && <PlanEditor key={id} record={data} />}
    </Page>
  );
}
