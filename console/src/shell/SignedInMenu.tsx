import { lazy, Suspense, useEffect, useState } from "react";
import { useLiveState } from "../api/live";
import { useAccount } from "../api/session";
import { instant } from "../ui/format";
import { Status } from "../ui/Values";
import { AccountButton } from "./AccountButton";
import classes from "./Shell.module.css";

const AccountMenu = lazy(() => import("./AccountMenu"));

/** The account with its zone and time, and who is signed in, with what is theirs to set. */
export function SignedInMenu() {
  const account = useAccount();
  const live = useLiveState();
  const [wanted, setWanted] = useState(false);
  return (
    <div className={classes.who}>
      <div className={classes.zone}>
        <Clock zone={account.timeZone} />
        <Status tone={live === "live" ? "good" : "warn"}>{live === "live" ? "Live" : "Connecting"}</Status>
      </div>
      {wanted ? (
        <Suspense fallback={<AccountButton />}>
          <AccountMenu />
        </Suspense>
      ) : (
        <AccountButton aria-haspopup="menu" onClick={() => setWanted(true)} />
      )}
    </div>
  );
}

/** The time of now in the account's zone, so that nobody wonders which time is meant. */
function Clock({ zone }: { zone: string }) {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="cm-clip" title="The account's time zone">
      <time dateTime={now.toISOString()}>{instant(now, zone, "minute")}</time> {zone.replaceAll("_", " ")}
    </span>
  );
}
