import { IconMessage } from "@tabler/icons-react";
import { NOWHERE } from "../flow";
import { Language, SpokenText } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

function Panel({ node, change, wrong, fields, readOnly }: PanelProps<"say">) {
  return (
    <>
      <SpokenText label="The caller hears" value={node.text} onChange={(text) => change({ ...node, text })} error={wrong("text")} fields={fields} readOnly={readOnly} />
      <Language value={node.language} onChange={(language) => change({ ...node, language })} readOnly={readOnly} />
    </>
  );
}

export const say: NodeKind<"say"> = {
  label: "Say",
  hint: "Speak a text",
  icon: IconMessage,
  tone: "talk",
  make: () => ({ kind: "say", text: "Thank you for calling.", next: NOWHERE }),
  summary: (node) => node.text,
  Panel,
};
