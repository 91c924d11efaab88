import { ActionIcon, Button, Menu, Tooltip } from "@mantine/core";
import { IconArchive, IconCopy, IconDots, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { refusalOf } from "../../api/problem";
import { clone, type Noun, perform, readAgain, type RecordOf, restore, type Verb } from "../../api/records";
import { useMay } from "../../api/session";
import { useToast } from "../toasts";

type Copied = "campaigns" | "offers" | "buyers" | "publishers";
const COPIED: ReadonlySet<Noun> = new Set<Noun>(["campaigns", "offers", "buyers", "publishers"]);

interface RecordActsProps<N extends Noun> {
  noun: N;
  record: RecordOf<N>;
  name: string;
  status: string;
}

/** Pause, resume, clone and archive; what was done can be taken back. */
export function RecordActs<N extends Noun>({ noun, record, name, status }: RecordActsProps<N>) {
  const mayChange = useMay("change");
  const cache = useQueryClient();
  const toast = useToast();
  const navigate = useNavigate();
  const again = () => readAgain(cache, noun, "caps");
  const failed = (error: unknown) => {
    const refused = refusalOf(error);
    const first = refused.problems[0];
    toast({ text: first === undefined ? refused.message : `${first.problem}. ${first.remedy}.`, tone: "bad" });
  };
  const act = useMutation({
    mutationFn: (verb: Verb) => perform(noun, record.id, verb),
    onSuccess: async (_, verb) => {
      toast({ text: `${name} is ${DONE[verb]}.`, undo: () => undone(verb) });
      await again();
    },
    onError: failed,
  });
  const undone = async (verb: Verb) => {
    if (verb === "archive") await restore(noun, record.id, record.revision);
    else await perform(noun, record.id, verb === "pause" ? "resume" : "pause");
    await again();
  };
  const copy = useMutation({
    mutationFn: () => clone(noun as Copied, record.id),
    onSuccess: async (made) => {
      await again();
      toast({ text: `${name} is cloned; this is the clone.` });
      await navigate({ to: `/${noun}/${made.id}` as string });
    },
    onError: failed,
  });
  if (!mayChange) return null;
  const running = status === "live" || status === "active";
  return (
    <>
      {!record.archived && (
        <Button
          variant={running ? "default" : "filled"}
          leftSection={running ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />}
          loading={act.isPending}
          onClick={() => act.mutate(running ? "pause" : "resume")}
        >
          {running ? "Pause" : status === "draft" ? "Go live" : "Resume"}
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <Tooltip label="More">
            <ActionIcon variant="default" size={34} aria-label={`More about ${name}`}>
              <IconDots size={17} />
            </ActionIcon>
          </Tooltip>
        </Menu.Target>
        <Menu.Dropdown>
          {COPIED.has(noun) && (
            <Menu.Item leftSection={<IconCopy size={16} />} onClick={() => copy.mutate()}>
              Clone
            </Menu.Item>
          )}
          {record.archived ? (
            <Menu.Item leftSection={<IconPlayerPlay size={16} />} onClick={() => void restore(noun, record.id, record.revision).then(again, failed)}>
              Bring back
            </Menu.Item>
          ) : (
            <Menu.Item leftSection={<IconArchive size={16} />} onClick={() => act.mutate("archive")}>
              Archive
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

const DONE: Record<Verb, string> = { pause: "paused", resume: "running", archive: "archived" };
