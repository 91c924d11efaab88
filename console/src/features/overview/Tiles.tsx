import { Skeleton } from "@mantine/core";
import { useAccount, type Role } from "../../api/session";
import { ErrorNote } from "../../ui/ErrorNote";
import { count, money, percent } from "../../ui/format";
import { change, type Figures, type Tile, tilesFor } from "./figures";
import { useFigures } from "./useFigures";
import classes from "./Overview.module.css";

/** Today's figures against the same time yesterday and a week ago. */
export function Tiles({ role }: { role: Role }) {
  const tiles = tilesFor(role);
  const metrics = tiles.map((one) => one.metric).join(",");
  const today = useFigures("now", { metrics, range: "today" });
  const yesterday = useFigures("minute", { metrics, range: "today", back_days: 1 });
  const lastWeek = useFigures("minute", { metrics, range: "today", back_days: 7 });
  if (today.data === undefined && today.error !== null)
    return <ErrorNote error={today.error} retry={() => void today.refetch()} />;
  return (
    <section aria-label="Today" className={classes.tiles}>
      {tiles.map((tile) => (
        <TileCard
          key={tile.metric}
          tile={tile}
          today={today.data?.total}
          yesterday={yesterday.data?.total}
          lastWeek={lastWeek.data?.total}
        />
      ))}
    </section>
  );
}

interface TileCardProps {
  tile: Tile;
  today: Figures | undefined;
  yesterday: Figures | undefined;
  lastWeek: Figures | undefined;
}

function TileCard({ tile, today, yesterday, lastWeek }: TileCardProps) {
  const { currency } = useAccount();
  const shown = (figures: Figures | undefined, whole = false) => {
    const value = figures?.[tile.metric] ?? 0;
    return tile.money === true ? money(String(value), currency, whole ? "whole" : "cents") : count(Number(value));
  };
  const of = tile.of === undefined || today === undefined ? undefined : Number(today[tile.of.metric] ?? 0);
  return (
    <div className={`cm-card ${classes.tile}`} data-testid={`tile-${tile.metric}`}>
      <span className={classes.tileLabel}>{tile.label}</span>
      <span className={classes.tileValue}>
        {today === undefined ? <Skeleton height={24} width={80} my={4} /> : shown(today)}
        {of !== undefined && tile.of !== undefined && (
          <span className={classes.tileOf}>{`${percent(Number(today?.[tile.metric] ?? 0), of)} of ${tile.of.label}`}</span>
        )}
      </span>
      <Against label="yesterday" before={yesterday && shown(yesterday, true)} changed={today && yesterday && change(today[tile.metric], yesterday[tile.metric])} />
      <Against label="last week" before={lastWeek && shown(lastWeek, true)} changed={today && lastWeek && change(today[tile.metric], lastWeek[tile.metric])} />
    </div>
  );
}

function Against(props: { label: string; before: string | undefined; changed: number | undefined }) {
  const tone = props.changed === undefined || props.changed === 0 ? undefined : props.changed > 0 ? "up" : "down";
  return (
    <span className={classes.against} title={`At the same time ${props.label}`}>
      <span>{`${props.label} ${props.before ?? "…"}`}</span>
      {props.changed !== undefined && (
        <span className={classes.changed} data-tone={tone}>
          {`${props.changed > 0 ? "+" : ""}${count(props.changed)}%`}
        </span>
      )}
    </span>
  );
}
