import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconCopy, IconDots, IconHistory, IconPencil, IconPhone } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { act, type Shapes } from "../../api/client";
import { refusalOf } from "../../api/problem";
import { useToast } from "../../ui/toasts";
import type { Shown } from "./Editor";
import { RenameDialog } from "./RenameDialog";
import type { Editing } from "./useDraft";

interface EditorActsProps {
  editing: Editing;
  standing: Shapes["FlowStanding"] | undefined;
  shown: Shown;
  onShow: (shown: Shown) => void;
  onPublish: () => void;
  mayChange: boolean;
}

/** What can be done with a whole flow. */
export function EditorActs(props: EditorActsProps) {
  const { editing, shown, onShow } = props;
  const [renaming, setRenaming] = useState(false);
  const navigate = useNavigate();
  const toast = useToast();
  const cache = useQueryClient();
  const count = editing.problems.length;
  const toggle = (which: Shown) => onShow(shown === which ? "none" : which);
  const copy = async () => {
    try {
      await editing.flush();
      const made = await act("post", "/api/flows/{id}/clone", { params: { path: { id: editing.record.id } }, body: {} });
      await cache.invalidateQueries({ queryKey: ["/api/flows"] });
      await navigate({ to: "/flows/$id", params: { id: made.id } });
    } catch (error) {
      toast({ text: refusalOf(error).message, tone: "bad" });
    }
  };
  return (
    <>
      {count > 0 && (
        <Button variant="default" c="var(--cm-bad)" onClick={() => toggle("problems")} aria-expanded={shown === "problems"}>
          {count === 1 ? "1 problem" : `${count} problems`}
        </Button>
      )}
      <Button variant="default" leftSection={<IconPhone size={16} />} onClick={() => toggle("try")} aria-expanded={shown === "try"}>
        Try it
      </Button>
      <Button variant="default" leftSection={<IconHistory size={16} />} onClick={() => toggle("versions")} aria-expanded={shown === "versions"}>
        {props.standing?.version == null ? "Versions" : `Version ${props.standing.version}`}
      </Button>
      {props.mayChange && (
        <>
          <Button disabled={count > 0 && editing.checked} onClick={props.onPublish}>
            Publish
          </Button>
          <Menu position="bottom-end">
            <Menu.Target>
              <ActionIcon size="lg" variant="default" aria-label="More">
                <IconDots size={17} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<IconPencil size={16} />} onClick={() => setRenaming(true)}>
                Rename
              </Menu.Item>
              <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => void copy()}>
                Make a copy
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <RenameDialog editing={editing} opened={renaming} onClose={() => setRenaming(false)} />
        </>
      )}
    </>
  );
}
