import { ActionIcon, Chip, Tooltip } from "@mantine/core";
import { IconArrowBackUp, IconArrowForwardUp, IconLayoutDistributeHorizontal } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { count } from "../../ui/format";
import classes from "./Flow.module.css";
import type { CanvasAct } from "./keys";
import type { Editing } from "./useDraft";

interface CanvasBarProps {
  editing: Editing;
  run: (act: CanvasAct) => void;
  mayChange: boolean;
  counted: number | undefined;
  withCallers: boolean;
  onCallers: (shown: boolean) => void;
}

/** What can be done to the whole picture. */
export function CanvasBar(props: CanvasBarProps) {
  const { editing, run } = props;
  return (
    <div className={classes.bar}>
      {props.mayChange && (
        <>
          <Act label="Undo" keys="Ctrl Z" disabled={editing.undo === undefined} onClick={() => run("undo")} icon={<IconArrowBackUp size={17} />} />
          <Act label="Redo" keys="Ctrl Shift Z" disabled={editing.redo === undefined} onClick={() => run("redo")} icon={<IconArrowForwardUp size={17} />} />
          <Act label="Tidy" keys="T" disabled={false} onClick={() => run("tidy")} icon={<IconLayoutDistributeHorizontal size={17} />} />
        </>
      )}
      {props.counted !== undefined && props.counted > 0 && (
        <Tooltip label={`How the newest ${count(props.counted)} callers of the last 7 days went`}>
          <div>
            <Chip size="xs" radius="sm" checked={props.withCallers} onChange={props.onCallers}>
              Callers, 7 days
            </Chip>
          </div>
        </Tooltip>
      )}
    </div>
  );
}

function Act(props: { label: string; keys: string; disabled: boolean; onClick: () => void; icon: ReactNode }) {
  return (
    <Tooltip label={`${props.label} (${props.keys})`}>
      <ActionIcon size="sm" variant="subtle" color="gray" aria-label={props.label} disabled={props.disabled} onClick={props.onClick}>
        {props.icon}
      </ActionIcon>
    </Tooltip>
  );
}
