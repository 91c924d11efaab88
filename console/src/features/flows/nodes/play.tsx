import { IconVolume } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { OneLine, soundTold } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

function Panel({ node, change, wrong, readOnly }: PanelProps<"play">) {
  return (
    <OneLine
      label="Sound file"
      note="An MP3 or WAV that the carrier can fetch"
      placeholder="https://…/greeting.mp3"
      value={node.url}
      onChange={(url) => change({ ...node, url })}
      error={wrong("url")}
      readOnly={readOnly}
    />
  );
}

export const play: NodeKind<"play"> = {
  label: "Play",
  hint: "Play a sound file",
  icon: IconVolume,
  tone: "talk",
  make: () => ({ kind: "play", url: "", next: NOWHERE }),
  summary: (node) => soundTold(node.url),
  Panel,
};
