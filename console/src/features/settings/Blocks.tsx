import { ActionIcon, Button, Group, Select, TextInput, Tooltip } from "@mantine/core";
import { IconBan, IconTrash } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { act, read, type Shapes } from "../../api/client";
import { listed } from "../../api/lists";
import { useMay } from "../../api/session";
import { type Column, DataTable } from "../../ui/DataTable";
import { Empty } from "../../ui/Empty";
import { ErrorNote, fieldError } from "../../ui/ErrorNote";
import { phone } from "../../ui/format";
import { Name } from "../../ui/Name";
import { useRows } from "../../ui/rows";
import { useToast } from "../../ui/toasts";
import { Nothing, When } from "../../ui/Values";
import classes from "./Settings.module.css";

type Block = Shapes["Block"];

const blocks = listed(["/api/blocks", "rows"], (cursor, signal) => read("/api/blocks", { params: { query: { cursor, limit: 200 } }, signal }));

/** Who is refused before anything else. */
export function Blocks() {
  const rows = useRows(blocks);
  const mayChange = useMay("change");
  const [pattern, setPattern] = useState("");
  const [matches, setMatches] = useState<string | null>("number");
  const [reason, setReason] = useState("");
  const cache = useQueryClient();
  const toast = useToast();
  const again = () => cache.invalidateQueries({ queryKey: ["/api/blocks"] });
  const add = useMutation({
    mutationFn: () => act("post", "/api/blocks", { body: { pattern: pattern.replace(/[^+\d]/g, ""), matches: matches === "prefix" ? "prefix" : "number", reason } }),
    onSuccess: async (made) => {
      setPattern("");
      setReason("");
      toast({ text: `${phone(made.pattern)} is refused from now on.`, undo: () => act("delete", "/api/blocks/{id}", { params: { path: { id: made.id } } }).then(again) });
      await again();
    },
  });
  const columns = useMemo((): readonly Column<Block>[] => {
    const remove = async (block: Block) => {
      await act("delete", "/api/blocks/{id}", { params: { path: { id: block.id } } });
      const { pattern: what, side, matches: how, campaign_id, reason: why, expires_at } = block;
      toast({
        text: `${phone(what)} is refused no more.`,
        undo: () => act("post", "/api/blocks", { body: { pattern: what, side, matches: how, campaign_id, reason: why, expires_at } }).then(again),
      });
      await again();
    };
    return [
      { id: "pattern", label: "Number", width: 170, cell: (one) => <>{phone(one.pattern)}{one.matches === "prefix" && "…"}</> },
      { id: "side", label: "As", width: 100, cell: (one) => (one.side === "caller" ? "caller" : "called") },
      { id: "campaign", label: "Where", width: 150, grow: true, cell: (one) => (one.campaign_id === null ? "Everywhere" : <Name id={one.campaign_id} />) },
      { id: "reason", label: "Reason", width: 180, grow: true, cell: (one) => (one.reason === "" ? <Nothing /> : <span className="cm-clip">{one.reason}</span>) },
      { id: "by", label: "By", width: 130, cell: (one) => <Name id={one.blocked_by} /> },
      { id: "at", label: "Since", width: 150, cell: (one) => <When at={one.blocked_at} /> },
      { id: "until", label: "Until", width: 150, cell: (one) => <When at={one.expires_at} /> },
      {
        id: "remove",
        label: "",
        width: 52,
        align: "right",
        cell: (one) =>
          mayChange && (
            <Tooltip label="Refuse no more">
              <ActionIcon variant="subtle" color="gray" aria-label={`Refuse ${phone(one.pattern)} no more`} onClick={() => void remove(one)}>
                <IconTrash size={16} />
              </ActionIcon>
            </Tooltip>
          ),
      },
    ];
  }, [mayChange, cache, toast]);
  return (
    <>
      {mayChange && (
        <form
          className={classes.bar}
          onSubmit={(event) => {
            event.preventDefault();
            add.mutate();
          }}
        >
          <TextInput aria-label="Number to refuse" placeholder="+14155550100" value={pattern} onChange={(event) => setPattern(event.currentTarget.value)} error={fieldError(add.error, "pattern")} />
          <Select
            aria-label="What is refused"
            w={190}
            allowDeselect={false}
            data={[
              { value: "number", label: "This number" },
              { value: "prefix", label: "All that begin with it" },
            ]}
            value={matches}
            onChange={setMatches}
          />
          <TextInput aria-label="Reason" placeholder="Reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
          <Group>
            <Button type="submit" disabled={pattern === ""} loading={add.isPending}>
              Refuse
            </Button>
          </Group>
          <ErrorNote error={add.error} shown={["pattern"]} />
        </form>
      )}
      <DataTable
        label="Block list"
        rows={rows}
        columns={columns}
        id={(one) => one.id}
        noun={rows.rows.length === 1 ? "entry" : "entries"}
        empty={
          <Empty icon={<IconBan size={22} />} title="Nobody is refused">
            Callers on this list are refused before anything else, in one campaign or everywhere.
          </Empty>
        }
      />
    </>
  );
}
