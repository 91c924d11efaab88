import { Page } from "../../ui/Page";
import { Zone } from "../../ui/Values";

export function OverviewPage() {
  return (
    <Page title="Overview" note={<Zone />}>
      {null}
    </Page>
  );
}
