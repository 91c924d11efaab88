import { ActionIcon, Button, Group, Popover, Stack, Text, TextInput } from "@mantine/core";
import { IconBookmark, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { useKept } from "../../ui/kept";
import { useToast } from "../../ui/toasts";
import { type ChosenFilters, NOTHING, type SavedView, sameFilters, withView } from "./filters";

const MOST_CHARS = 40;
const NONE: readonly SavedView[] = [];

interface ViewsProps {
  filters: ChosenFilters;
  columns: readonly string[];
  onFilters: (change: ChosenFilters) => void;
  onColumns: (columns: readonly string[]) => void;
}

/** Filters and columns under a name, kept in this browser. */
export function Views(props: ViewsProps) {
  const [views, setViews] = useKept("calls-views", NONE);
  const [name, setName] = useState("");
  const [opened, setOpened] = useState(false);
  const toast = useToast();
  const current = views.find((one) => sameFilters(one.filters, props.filters));
  const open = (view: SavedView) => {
    props.onFilters({ ...NOTHING, ...view.filters });
    props.onColumns(view.columns);
    setOpened(false);
  };
  const save = () => {
    if (name.trim() === "") return;
    setViews(withView(views, { name: name.trim(), filters: props.filters, columns: props.columns }));
    setName("");
    setOpened(false);
    toast({ text: `The view “${name.trim()}” is saved in this browser.` });
  };
  const remove = (view: SavedView) => {
    setViews(views.filter((one) => one.name !== view.name));
    toast({ text: `The view “${view.name}” is gone.`, undo: async () => setViews(views) });
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={280} shadow="md" trapFocus>
      <Popover.Target>
        <Button variant="default" leftSection={<IconBookmark size={16} />} onClick={() => setOpened(!opened)}>
          {current?.name ?? "Views"}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={8}>
        <Stack gap={2}>
        {views.length === 0 && (
          <Text size="xs" c="dimmed" p={6}>
            No saved views yet. Set filters and columns, then name them here.
          </Text>
        )}
        {views.map((view) => (
          <Group key={view.name} gap={2} wrap="nowrap">
            <Button variant="subtle" color="gray" c="inherit" justify="flex-start" style={{ flex: 1 }} onClick={() => open(view)}>
              {view.name}
            </Button>
            <ActionIcon variant="subtle" color="gray" aria-label={`Remove the view ${view.name}`} onClick={() => remove(view)}>
              <IconTrash size={15} />
            </ActionIcon>
          </Group>
        ))}
        </Stack>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            save();
          }}
        >
          <Group gap={6} pt={8} wrap="nowrap">
            <TextInput
              size="xs"
              style={{ flex: 1 }}
              aria-label="Name of the view"
              placeholder="Name this view"
              maxLength={MOST_CHARS}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <Button size="xs" type="submit" disabled={name.trim() === ""}>
              Save
            </Button>
          </Group>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
