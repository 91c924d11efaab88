import { IconRecordMail } from "@tabler/icons-react";
import { PromptFields, promptTold, Whole } from "./fields";
import type { NodeKind, PanelProps } from "./kind";

function Panel({ node, change, wrong, fields, readOnly }: PanelProps<"voicemail">) {
  return (
    <>
      <PromptFields prompt={node.prompt} onChange={(prompt) => change({ ...node, prompt })} wrong={wrong} fields={fields} readOnly={readOnly} />
      <Whole label="Records at most" suffix=" s" min={5} max={600} value={node.max_s ?? 120} onChange={(max_s) => change({ ...node, max_s })} error={wrong("max_s")} readOnly={readOnly} />
    </>
  );
}

export const voicemail: NodeKind<"voicemail"> = {
  label: "Voicemail",
  hint: "Record a message, then hang up",
  icon: IconRecordMail,
  tone: "end",
  make: () => ({ kind: "voicemail", prompt: { kind: "say", text: "Please leave your name and number after the tone." } }),
  summary: (node) => promptTold(node.prompt),
  Panel,
};
