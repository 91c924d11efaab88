import { UnstyledButton } from "@mantine/core";
import type { RefObject } from "react";
import { DRAGGED } from "./dragged";
import classes from "./Flow.module.css";
import type { Kind } from "./flow";
import { KINDS } from "./nodes";

const GROUPS: Record<(typeof KINDS)[Kind]["tone"], string> = { talk: "Tell", ask: "Ask", decide: "Decide", end: "End" };

/** Every kind of node: drag one to the canvas, or press it to add it after the chosen node. */
export function Palette(props: { onAdd: (kind: Kind) => void; handle: RefObject<HTMLDivElement | null> }) {
  return (
    <div ref={props.handle} className={classes.palette} role="group" aria-label="Add a node">
      {Object.entries(GROUPS).map(([tone, name]) => [
        <div key={tone} className={classes.paletteName}>
          {name}
        </div>,
        ...Object.entries(KINDS)
          .filter(([, one]) => one.tone === tone)
          .map(([kind, one]) => (
            <UnstyledButton
              key={kind}
              className={classes.kind}
              data-tone={one.tone}
              title={one.hint}
              draggable
              onDragStart={(event) => {
                event.dataTransfer.setData(DRAGGED, kind);
                event.dataTransfer.effectAllowed = "copy";
              }}
              onClick={() => props.onAdd(kind as Kind)}
            >
              <span className={classes.kindIcon} aria-hidden>
                <one.icon size={16} stroke={1.8} />
              </span>
              {one.label}
            </UnstyledButton>
          )),
      ])}
    </div>
  );
}
