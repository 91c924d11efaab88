import { useMemo } from "react";
import { keep, kept } from "../../ui/kept";
import type { Clip } from "./edits";

/** Copied nodes, for this flow and for others that this browser opens. */
export function useClip(): { keep: (clip: Clip) => void; get: () => Clip | undefined } {
  return useMemo(
    () => ({
      keep: (clip) => {
        if (Object.keys(clip.nodes).length > 0) keep("copied-nodes", clip);
      },
      get: () => kept<Clip | null>("copied-nodes", null) ?? undefined,
    }),
    [],
  );
}
