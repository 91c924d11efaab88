import type { Shapes } from "../../api/client";
import { clock, words } from "../../ui/format";
import { Name } from "../../ui/Name";
import { Part } from "../../ui/Part";
import { Money, Nothing, Status, type Tone, When } from "../../ui/Values";
import classes from "./Call.module.css";

type Attempt = Shapes["ToldAttempt"];

/** Every dial of a call. */
export function Attempts({ attempts }: { attempts: readonly Attempt[] }) {
  const heard = attempts.filter((one) => one.recording_url !== "");
  return (
    <Part title="Attempts" note={attempts.length === 1 ? "one dial" : `${attempts.length} dials`} flush>
      <div className={classes.scroll} tabIndex={0} role="region" aria-label="Attempts">
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Offer</th>
              <th scope="col">Outcome</th>
              <th scope="col">Dialled</th>
              <th scope="col" data-right>
                Rang
              </th>
              <th scope="col" data-right>
                Talked
              </th>
              <th scope="col" data-right>
                Held
              </th>
              <th scope="col">Ended by</th>
            </tr>
          </thead>
          <tbody>
            {attempts.map((attempt) => (
              <tr key={attempt.id} data-taken={attempt.billed || undefined}>
                <td>
                  {attempt.offer}
                  <span className={classes.sub}>
                    <Name id={attempt.buyer_id} />
                  </span>
                </td>
                <td>
                  <Status tone={toneOf(attempt)} pulse={attempt.ended_at === null && attempt.refusal === ""}>
                    {outcomeOf(attempt)}
                  </Status>
                  {attempt.billed && <span className={classes.sub}>the billed one</span>}
                </td>
                <td>
                  <When at={attempt.dialled_at} style="time" />
                </td>
                <td data-right>{clock(attempt.ring_ms / 1000)}</td>
                <td data-right>{attempt.bridged_ms === null ? <Nothing /> : clock(attempt.bridged_ms / 1000)}</td>
                <td data-right>
                  <Money amount={attempt.held_revenue} />
                </td>
                <td>
                  {attempt.ended_by === "" ? <Nothing /> : words(attempt.ended_by)}
                  {attempt.sip_code > 0 && <span className={classes.sub}>SIP {attempt.sip_code}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {heard.map((attempt) => (
        <div key={attempt.id} className={classes.recording}>
          <span>{`Recording of attempt ${attempt.number}`}</span>
          <audio controls preload="none" src={attempt.recording_url} aria-label={`Recording of attempt ${attempt.number}`} />
        </div>
      ))}
    </Part>
  );
}

function outcomeOf(attempt: Attempt): string {
  if (attempt.refusal !== "") return words(attempt.refusal);
  return words(attempt.outcome ?? attempt.state);
}

function toneOf(attempt: Attempt): Tone {
  if (attempt.refusal !== "") return "warn";
  if (attempt.outcome === "answered" || attempt.state === "answered" || attempt.state === "accepted") return "good";
  return attempt.outcome === null ? "info" : "rest";
}
