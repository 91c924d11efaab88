import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";
import { Editor } from "./Editor";

/** One flow on its canvas. */
export function FlowPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const { data, error, refetch } = useQuery({
    ...question("/api/flows/{id}", { params: { path: { id } } }),
    refetchOnMount: "always",
  });
  if (data === undefined)
    return (
      <Page title="Flow" above={{ to: "/flows", label: "Flows" }}>
        <ErrorNote error={error} retry={() => void refetch()} />
        {error === null && <Skeleton height={420} role="status" aria-label="Reading the flow" />}
      </Page>
    );
  return <Editor key={id} record={data} />;
}
