import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { question } from "../../api/client";
import { ErrorNote } from "../../ui/ErrorNote";
import { Page } from "../../ui/Page";

export function CallPage() {
  const { id } = useParams({ from: "/shell/calls/$id" });
  const { data, error, refetch } = useQuery(question("/api/calls/{id}", { params: { path: { id } } }));
  return (
    <Page title="Call" above={{ to: "/calls", label: "Calls" }}>
      <ErrorNote error={error} retry={() => void refetch()} />
      {data?.timeline.map((moment) => (
        <p key={moment.version}>{moment.text}</p>
      ))}
    </Page>
  );
}
