import { Kbd, Modal, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { type KeyboardEvent, useId, useState } from "react";
import classes from "./CommandPalette.module.css";
import { type Command, found, useAllCommands } from "./shortcuts";
import { useRecordCommands } from "./useRecordCommands";

const MOST = 50;

interface KeyboardProps {
  palette: boolean;
  shortcuts: boolean;
  onClosePalette: () => void;
  onCloseShortcuts: () => void;
}

/** The command palette and the list of shortcuts; read when one of them is first opened. */
export default function Keyboard(props: KeyboardProps) {
  return (
    <>
      <CommandPalette opened={props.palette} onClose={props.onClosePalette} />
      <ShortcutList opened={props.shortcuts} onClose={props.onCloseShortcuts} />
    </>
  );
}

/** Everything that can be done, found by typing. */
function CommandPalette(props: { opened: boolean; onClose: () => void }) {
  return (
    <Modal
      opened={props.opened}
      onClose={props.onClose}
      withCloseButton={false}
      padding={0}
      size={560}
      centered={false}
      yOffset="12vh"
      attributes={{ content: { "aria-label": "Commands" } }}
    >
      <Palette onClose={props.onClose} />
    </Modal>
  );
}

function Palette({ onClose }: { onClose: () => void }) {
  const all = useAllCommands();
  const [wanted, setWanted] = useState("");
  const [place, setPlace] = useState(0);
  const id = useId();
  const records = useRecordCommands(wanted);
  const shown = [...found(all, wanted), ...records].slice(0, MOST);
  const at = Math.min(place, shown.length - 1);
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    onClose();
    command.run();
  };
  const steered = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && shown.length > 0) {
      event.preventDefault();
      const next = (at + step + shown.length) % shown.length;
      setPlace(next);
      document.getElementById(`${id}-${next}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(shown[at]);
    }
  };
  return (
    <>
      <TextInput
        data-autofocus
        variant="unstyled"
        size="md"
        placeholder="Go to a page or do something…"
        aria-label="Find a command"
        role="combobox"
        aria-expanded
        aria-controls={`${id}-list`}
        aria-activedescendant={shown.length > 0 ? `${id}-${at}` : undefined}
        leftSection={<IconSearch size={17} />}
        value={wanted}
        onChange={(event) => {
          setWanted(event.currentTarget.value);
          setPlace(0);
        }}
        onKeyDown={steered}
        className={classes.input}
      />
      <div id={`${id}-list`} role="listbox" aria-label="Commands" className={classes.list}>
        {shown.map((command, index) => (
          <div
            key={`${command.group} ${command.label} ${command.words ?? ""}`}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            className={classes.option}
            onMouseMove={() => setPlace(index)}
            onClick={() => run(command)}
          >
            <span className={classes.group}>{command.group}</span>
            <span className={classes.label}>{command.label}</span>
            {command.keys !== undefined && <Keys keys={command.keys} />}
          </div>
        ))}
      </div>
      {shown.length === 0 && (
        <Text c="dimmed" size="sm" p="md" ta="center">
          Nothing is called that.
        </Text>
      )}
    </>
  );
}

/** The keys of a shortcut. */
function Keys(props: { keys: string }) {
  return (
    <span className={classes.keys}>
      {props.keys.split(" ").map((key, place) => (
        <Kbd key={`${key} ${place.toString()}`} size="xs">
          {key}
        </Kbd>
      ))}
    </span>
  );
}

/** All shortcuts that work now. */
function ShortcutList(props: { opened: boolean; onClose: () => void }) {
  const commands = useAllCommands().filter((one) => one.keys !== undefined);
  return (
    <Modal opened={props.opened} onClose={props.onClose} title="Keyboard shortcuts" closeButtonProps={{ "aria-label": "Close" }}>
      <dl className={classes.shortcuts}>
        {commands.map((command) => (
          <div key={command.keys}>
            <dt>{command.label}</dt>
            <dd>
              <Keys keys={command.keys ?? ""} />
            </dd>
          </div>
        ))}
        <div>
          <dt>Find a command</dt>
          <dd>
            <Keys keys="Ctrl K" />
          </dd>
        </div>
      </dl>
    </Modal>
  );
}
