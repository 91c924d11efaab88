import { useMay } from "../../api/session";
import { Page } from "../../ui/Page";
import { PageTabs, useTab } from "../../ui/record/PageTabs";
import { Zone } from "../../ui/Values";
import { Balances } from "./Balances";
import { Ledger } from "./Ledger";
import classes from "./Money.module.css";
import { Reconcile } from "./Reconcile";
import { Statements } from "./Statements";

const STAFF = { balances: "Balances", ledger: "Ledger", statements: "Statements", reconcile: "Reconcile" } as const;
const PARTNER = { balances: "Balance", statements: "Statements" } as const;

/** Who owes what, and why. */
export function MoneyPage() {
  const tabs: Record<string, string> = useMay("staff") ? STAFF : PARTNER;
  const [tab, setTab] = useTab(Object.keys(tabs));
  return (
    <Page title="Money" fill={tab === "balances" || tab === "ledger"} note={<Zone />} bar={<PageTabs tabs={tabs} value={tab} onChange={setTab} panel="money-tab" />}>
      <div id="money-tab" role="tabpanel" aria-label={tabs[tab] ?? ""} className={classes.panel}>
        {tab === "balances" && <Balances />}
        {tab === "ledger" && <Ledger />}
        {tab === "statements" && <Statements />}
        {tab === "reconcile" && <Reconcile />}
      </div>
    </Page>
  );
}
