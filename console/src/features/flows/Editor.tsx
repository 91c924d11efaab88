import { Button, CloseButton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { question } from "../../api/client";
import { useMay } from "../../api/session";
import { Page } from "../../ui/Page";
import { Canvas } from "./Canvas";
import { CanvasBar } from "./CanvasBar";
import { EditorActs } from "./EditorActs";
import { added, addedAfter, connected, copied, moved, pasted, removed } from "./edits";
import { Explained } from "./Explained";
import classes from "./Flow.module.css";
import { edgeName, type Kind, NOWHERE, type Spot } from "./flow";
import { actOf, type CanvasAct } from "./keys";
import { beside, tidied } from "./layout";
import { NodePanel } from "./NodePanel";
import { kindOf } from "./nodes";
import { Palette } from "./Palette";
import { ProblemList } from "./ProblemList";
import { PublishDialog } from "./PublishDialog";
import { SaveState } from "./SaveState";
import { Simulator } from "./Simulator";
import type { Trial } from "./trial";
import { type FlowRecord, useDraft } from "./useDraft";
import { useClip } from "./useClip";
import { Versions } from "./Versions";

export type Shown = "node" | "try" | "versions" | "problems" | "none";

const TITLES: Record<Exclude<Shown, "none" | "node">, string> = { try: "Try it", versions: "Versions", problems: "Problems" };
const NO_CALLERS: ReadonlyMap<string, number> = new Map();
const NOTHING_LIT: ReadonlySet<string> = new Set();

/** The builder of a flow. */
export function Editor(props: { record: FlowRecord }) {
  const mayChange = useMay("change");
  const editing = useDraft(props.record, mayChange);
  const { draft, edit, record, problems, adopt } = editing;
  useEffect(() => adopt(props.record), [adopt, props.record]);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [chosenEdges, setChosenEdges] = useState<readonly string[]>([]);
  const [shown, setShown] = useState<Shown>("none");
  const [publishing, setPublishing] = useState(false);
  const [trial, setTrial] = useState<Trial>();
  const [withCallers, setWithCallers] = useState(true);
  const [fitted, setFitted] = useState(0);
  const palette = useRef<HTMLDivElement>(null);
  const side = useRef<HTMLElement>(null);
  const clip = useClip();
  const standing = useQuery(question("/api/flow-standings")).data?.items.find((one) => one.flow_id === record.id);
  const use = useQuery({ ...question("/api/flows/{id}/use", { params: { path: { id: record.id } } }), staleTime: 60_000 }).data;
  const taken = useMemo(
    () => (withCallers && use !== undefined ? new Map(use.edges.map((one) => [edgeName(one.node, one.exit), one.callers])) : NO_CALLERS),
    [withCallers, use],
  );
  const problemCounts = useMemo(() => {
    const counts = new Map<string, number>();
    for (const one of problems) counts.set(one.node, (counts.get(one.node) ?? 0) + 1);
    return counts;
  }, [problems]);
  const only = chosen.length === 1 ? chosen[0] : undefined;
  const node = only === undefined ? undefined : draft.flow.nodes[only];

  const choose = useCallback((nodes: readonly string[], edges: readonly string[]) => {
    setChosen((before) => (same(before, nodes) ? before : nodes));
    setChosenEdges((before) => (same(before, edges) ? before : edges));
    if (nodes.length === 1) setShown((before) => (before === "try" || before === "versions" ? before : "node"));
  }, []);
  const pick = useCallback((id: string) => {
    setChosen([id]);
    setChosenEdges([]);
    setShown((before) => (before === "try" ? before : "node"));
  }, []);
  const addAfterChosen = useCallback(
    (kind: Kind) => {
      const made = addedAfter(draft, only, kindOf(kind).make(), beside(draft.flow, draft.layout, only));
      edit(() => made.draft);
      pick(made.id);
      setShown("node");
    },
    [draft, edit, only, pick],
  );
  const addAt = useCallback(
    (kind: Kind, spot: Spot, from?: { node: string; exit: string }) => {
      const made = added(draft, kindOf(kind).make(), spot);
      edit(() => (from === undefined ? made.draft : connected(made.draft, from.node, from.exit, made.id)));
      pick(made.id);
      setShown("node");
    },
    [draft, edit, pick],
  );
  const run = useCallback(
    (act: CanvasAct) => {
      const paste = (nodes: ReturnType<typeof copied> | undefined) => {
        if (nodes === undefined) return;
        const made = pasted(draft, nodes);
        edit(() => made.draft);
        setChosen(made.ids);
      };
      switch (act) {
        case "undo":
          return editing.undo?.();
        case "redo":
          return editing.redo?.();
        case "copy":
          return clip.keep(copied(draft, chosen));
        case "cut":
          clip.keep(copied(draft, chosen));
          return edit((before) => removed(before, chosen));
        case "paste":
          return paste(clip.get());
        case "twice":
          return paste(copied(draft, chosen));
        case "all":
          return setChosen(Object.keys(draft.flow.nodes));
        case "remove":
          edit((before) =>
            removed(
              chosenEdges.reduce((left, edge) => {
                const [from, exit] = edge.split("|");
                return from === undefined || exit === undefined ? left : connected(left, from, exit, NOWHERE);
              }, before),
              chosen,
            ),
          );
          setChosen([]);
          return setChosenEdges([]);
        case "add":
          return palette.current?.querySelector("button")?.focus();
        case "tidy":
          edit((before) => moved(before, tidied(before.flow)));
          return setFitted((times) => times + 1);
        case "fit":
          return setFitted((times) => times + 1);
        case "try":
          return setShown((before) => (before === "try" ? "none" : "try"));
      }
    },
    [draft, chosen, chosenEdges, edit, editing, clip],
  );
  useCanvasKeys(run);

  const open = useCallback(() => {
    setShown("node");
    requestAnimationFrame(() => side.current?.querySelector<HTMLElement>("input, textarea, select")?.focus());
  }, []);
  const close = () => {
    setShown("none");
    if (shown === "node") setChosen([]);
  };
  const wholeProblems = problems.filter((one) => one.node === "" || !(one.node in draft.flow.nodes));
  const sideShown = shown === "node" && node === undefined ? "none" : shown;
  return (
    <Page
      title={record.document.name}
      above={{ to: "/flows", label: "Flows" }}
      fill
      note={<SaveState editing={editing} mayChange={mayChange} />}
      actions={
        <EditorActs
          editing={editing}
          standing={standing}
          shown={sideShown}
          onShow={setShown}
          onPublish={() => {
            void editing.flush().then((fine) => {
              if (fine) setPublishing(true);
              else setShown("problems");
            });
          }}
          mayChange={mayChange}
        />
      }
    >
      <div className={classes.editor} data-closed={sideShown === "none" || undefined} data-readonly={!mayChange || undefined}>
        {mayChange && <Palette handle={palette} onAdd={addAfterChosen} />}
        <Canvas
          draft={draft}
          chosen={chosen}
          chosenEdges={chosenEdges}
          onChoose={choose}
          onOpen={open}
          onConnect={(from, exit, to) => edit((before) => connected(before, from, exit, to))}
          onMove={(spots) => edit((before) => moved(before, spots), "move")}
          onAdd={addAt}
          problems={problemCounts}
          lit={trial?.lit ?? NOTHING_LIT}
          here={trial?.advance?.state.node}
          taken={taken}
          readOnly={!mayChange}
          fitted={fitted}
        >
          <CanvasBar
            editing={editing}
            run={run}
            mayChange={mayChange}
            counted={use?.counted}
            withCallers={withCallers}
            onCallers={setWithCallers}
          />
        </Canvas>
        {sideShown !== "none" && (
          <aside ref={side} className={classes.side} aria-label={sideShown === "node" ? `Node ${only ?? ""}` : TITLES[sideShown]}>
            <div className={classes.sideHead}>
              <h2>{sideShown === "node" && node !== undefined ? kindOf(node.kind).label : TITLES[sideShown as keyof typeof TITLES]}</h2>
              <CloseButton aria-label="Close the panel" onClick={close} />
            </div>
            <div className={classes.sideBody}>
              {sideShown === "node" && node !== undefined && only !== undefined && (
                <NodePanel id={only} node={node} draft={draft} edit={edit} onRename={pick} problems={problems} readOnly={!mayChange} />
              )}
              {sideShown === "try" && <Simulator id={record.id} flush={editing.flush} trial={trial} onTrial={setTrial} />}
              {sideShown === "versions" && (
                <Versions
                  id={record.id}
                  flush={editing.flush}
                  revision={() => editing.current().revision}
                  onRestored={editing.take}
                  undo={() => editing.undo?.()}
                  mayChange={mayChange}
                />
              )}
              {sideShown === "problems" && <ProblemList problems={problems} whole={wholeProblems} onPick={pick} />}
            </div>
          </aside>
        )}
      </div>
      {editing.standing === "conflict" && (
        <Explained
          title="Somebody else changed this flow meanwhile"
          text="What you see here is yours and is not saved. Theirs is on the server."
        >
          <Button
            size="xs"
            variant="default"
            onClick={() => {
              void editing.theirs().then((theirs) => editing.take(theirs));
            }}
          >
            Take theirs
          </Button>
          <Button size="xs" onClick={() => void editing.insist()}>
            Keep mine
          </Button>
        </Explained>
      )}
      {mayChange && (
        <PublishDialog
          record={record}
          flow={draft.flow}
          version={standing?.version ?? null}
          campaigns={standing?.campaigns ?? []}
          opened={publishing}
          onClose={() => setPublishing(false)}
        />
      )}
    </Page>
  );
}

function useCanvasKeys(run: (act: CanvasAct) => void): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : null;
      if (event.defaultPrevented || target?.closest("input, textarea, select, [role=dialog], [role=menu], aside") != null) return;
      const act = actOf(event);
      if (act === undefined || ((act === "copy" || act === "cut") && String(window.getSelection() ?? "") !== "")) return;
      event.preventDefault();
      run(act);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [run]);
}

function same(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((one, place) => one === right[place]);
}
