import { Stack } from "@mantine/core";
import { useLiveRefresh } from "../../api/live";
import { useMay, useMe } from "../../api/session";
import { Page } from "../../ui/Page";
import { Zone } from "../../ui/Values";
import { Air } from "./Air";
import { Alerts } from "./Alerts";
import { Campaigns } from "./Campaigns";
import { CapsNear } from "./CapsNear";
import { StopEverything } from "./StopEverything";
import { Tiles } from "./Tiles";
import { WhereFrom } from "./WhereFrom";
import classes from "./Overview.module.css";

const REFRESH_MS = 500;
const SLOWLY_MS = 5_000;
const OFTEN = [["overview", "now"], ["/api/calls", {}, { status: "live", limit: 100 }]];
const SELDOM = [["overview", "slow"], ["/api/caps/near"]];

/** What happens now, and how today compares. */
export function OverviewPage() {
  const { role } = useMe();
  const staff = useMay("staff");
  useLiveRefresh(OFTEN, REFRESH_MS);
  useLiveRefresh(SELDOM, SLOWLY_MS);
  return (
    <Page title="Overview" note={<Zone />} actions={useMay("change") ? <StopEverything /> : undefined}>
      <Stack gap={20}>
        {staff && <Alerts />}
        <Tiles role={role} />
        <div className={classes.columns}>
          <Stack gap={20} className={classes.wide}>
            <Air />
            {staff && <Campaigns />}
          </Stack>
          <Stack gap={20} className={classes.side}>
            {staff && <CapsNear />}
            <WhereFrom />
          </Stack>
        </div>
      </Stack>
    </Page>
  );
}
