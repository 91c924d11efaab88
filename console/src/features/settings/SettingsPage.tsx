import { Page } from "../../ui/Page";
import { PageTabs, useTab } from "../../ui/record/PageTabs";
import { AccountTab } from "./AccountTab";
import { Blocks } from "./Blocks";
import { AuctionsList, AuditList, EndpointsList, LeadsList } from "./Lists";
import classes from "./Settings.module.css";

const TABS = { account: "Account", blocks: "Block list", audit: "Audit log", auctions: "Auctions", endpoints: "RTB endpoints", leads: "Leads" } as const;

/** The account, who is refused, who did what, and the exchange's lists. */
export function SettingsPage() {
  const [tab, setTab] = useTab(Object.keys(TABS));
  return (
    <Page title="Settings" fill={tab !== "account"} bar={<PageTabs tabs={TABS} value={tab} onChange={setTab} panel="settings-tab" />}>
      <div id="settings-tab" role="tabpanel" aria-label={TABS[tab as keyof typeof TABS]} className={classes.panel}>
        {tab === "account" && <AccountTab />}
        {tab === "blocks" && <Blocks />}
        {tab === "audit" && <AuditList />}
        {tab === "auctions" && <AuctionsList />}
        {tab === "endpoints" && <EndpointsList />}
        {tab === "leads" && <LeadsList />}
      </div>
    </Page>
  );
}
