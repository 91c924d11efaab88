import { ActionIcon, Menu, Skeleton, Tooltip } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconColumns3 } from "@tabler/icons-react";
import { type CellContext, columnVisibilityFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useEffect, useImperativeHandle, useMemo, useRef } from "react";
import classes from "./DataTable.module.css";
import { ErrorNote } from "./ErrorNote";
import { count } from "./format";
import { useKept } from "./kept";
import type { Rows } from "./rows";

/** One column. `grow` columns share what is left of the width; the first column is always there. */
export interface Column<T> {
  id: string;
  label: string;
  width: number;
  grow?: boolean;
  align?: "left" | "right";
  /** Shown only where it is chosen. */
  extra?: boolean;
  cell: (row: T) => ReactNode;
}

interface DataTableProps<T> {
  /** What the table shows, for who cannot see it. */
  label: string;
  rows: Rows<T>;
  columns: readonly Column<T>[];
  /** The ids of the columns shown; all but the extra ones where it is left out. */
  shown?: readonly string[];
  id: (row: T) => string;
  /** Where there is nothing. */
  empty: ReactNode;
  /** One row on a narrow screen, instead of its columns. */
  compact?: (row: T) => ReactNode;
  compactHeight?: number;
  /** Marks a row that just changed or is chosen. */
  marked?: (row: T) => boolean;
  /** What all rows are called: `1,204 calls`. */
  noun?: string;
  foot?: ReactNode;
  handle?: RefObject<TableHandle | null>;
  /** Told whether the first rows are seen. */
  onTop?: (atTop: boolean) => void;
}

export interface TableHandle {
  toTop: () => void;
}

const ROW_HEIGHT = 40;
const LOAD_AHEAD = 20;
const OVERSCAN = 8;
const features = tableFeatures({ columnVisibilityFeature });

/** A table of any length: only what is seen is in the document, and more is read as it is scrolled. */
export function DataTable<T extends object>(props: DataTableProps<T>) {
  const { rows } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery("(max-width: 48em)") === true && props.compact !== undefined;
  const height = narrow ? (props.compactHeight ?? 64) : ROW_HEIGHT;
  const { columns, visibility, template, width } = useColumnModel(props.columns, props.shown);
  const table = useTable({
    features,
    columns,
    data: rows.rows as T[],
    getRowId: props.id,
    state: { columnVisibility: visibility },
  });
  const model = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: OVERSCAN,
  });
  useEffect(() => virtual.measure(), [virtual, height]);
  useImperativeHandle(props.handle, () => ({ toTop: () => scroller.current?.scrollTo({ top: 0 }) }));
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (rows.hasMore && last >= model.length - LOAD_AHEAD) rows.loadMore();
  }, [last, model.length, rows]);
  if (rows.error && rows.rows.length === 0)
    return (
      <div className={classes.aside}>
        <ErrorNote error={rows.error} retry={rows.retry} />
      </div>
    );
  if (!rows.waiting && rows.rows.length === 0) return <>{props.empty}</>;
  return (
    <div className={classes.frame}>
      <div
        ref={scroller}
        className={classes.scroller}
        tabIndex={0}
        role="region"
        aria-label={props.label}
        onScroll={(event) => props.onTop?.(event.currentTarget.scrollTop < height)}
      >
        <div
          role="table"
          aria-label={props.label}
          aria-rowcount={rows.hasMore ? -1 : model.length + 1}
          className={classes.table}
          style={{ minWidth: narrow ? undefined : width }}
        >
          {!narrow && (
            <div role="rowgroup" className={classes.head}>
              <div role="row" aria-rowindex={1} className={classes.row} style={{ gridTemplateColumns: template }}>
                {table.getVisibleLeafColumns().map((column) => {
                  const told = props.columns.find((one) => one.id === column.id);
                  return (
                    <div role="columnheader" key={column.id} className={classes.cell} data-align={told?.align}>
                      {told?.label}
                    </div>
                  );
                })}
              </div>
            </div>
          )}
          <div role="rowgroup" className={classes.body} style={{ height: rows.waiting ? undefined : virtual.getTotalSize() }}>
            {rows.waiting && <Waiting height={height} />}
            {items.map((item) => {
              const row = model[item.index];
              if (row === undefined) return null;
              return (
                <div
                  role="row"
                  key={row.id}
                  aria-rowindex={item.index + 2}
                  className={classes.row}
                  data-body
                  data-compact={narrow || undefined}
                  data-marked={props.marked?.(row.original) || undefined}
                  style={{
                    gridTemplateColumns: narrow ? "1fr" : template,
                    height,
                    transform: `translateY(${item.start}px)`,
                  }}
                >
                  {narrow ? (
                    <div role="cell" className={classes.compact}>
                      {props.compact?.(row.original)}
                    </div>
                  ) : (
                    row.getVisibleCells().map((cell) => (
                      <div
                        role="cell"
                        key={cell.id}
                        className={classes.cell}
                        data-align={props.columns.find((one) => one.id === cell.column.id)?.align}
                      >
                        <table.FlexRender cell={cell} />
                      </div>
                    ))
                  )}
                </div>
              );
            })}
          </div>
        </div>
      </div>
      <div className={classes.foot}>
        <span className="cm-number">
          {rows.waiting ? "Reading…" : `${count(rows.rows.length)}${rows.hasMore ? "+" : ""} ${props.noun ?? "rows"}`}
        </span>
        {props.foot}
      </div>
    </div>
  );
}

function useColumnModel<T extends object>(told: readonly Column<T>[], shown: readonly string[] | undefined) {
  return useMemo(() => {
    const visible = told.filter((one, place) => place === 0 || (shown?.includes(one.id) ?? one.extra !== true));
    const columns = told.map((one) => ({
      id: one.id,
      header: one.label,
      cell: (context: CellContext<typeof features, T>) => one.cell(context.row.original),
    }));
    return {
      columns,
      visibility: Object.fromEntries(told.map((one) => [one.id, visible.includes(one)])),
      template: visible.map((one) => (one.grow === true ? `minmax(${one.width}px, 1fr)` : `${one.width}px`)).join(" "),
      width: visible.reduce((sum, one) => sum + one.width, 0) + 32,
    };
  }, [told, shown]);
}

function Waiting(props: { height: number }) {
  return (
    <div role="row" className={classes.waiting}>
      <div role="cell">
        <span className={classes.hidden}>Reading…</span>
        {Array.from({ length: 12 }, (_, place) => (
          // The places of a skeleton are all alike and never move.
          <div key={place} style={{ height: props.height, display: "flex", alignItems: "center" }}>
            <Skeleton height={12} width={`${92 - ((place * 17) % 40)}%`} />
          </div>
        ))}
      </div>
    </div>
  );
}

/** Which columns a table shows, as this browser keeps it. */
export function useShown<T>(name: string, columns: readonly Column<T>[]): [readonly string[], (shown: readonly string[]) => void] {
  const usual = useMemo(() => columns.filter((one) => one.extra !== true).map((one) => one.id), [columns]);
  return useKept<readonly string[]>(`columns-${name}`, usual);
}

/** The button that chooses columns. */
export function ColumnChooser<T>(props: {
  columns: readonly Column<T>[];
  shown: readonly string[];
  onChange: (shown: readonly string[]) => void;
}) {
  const choose = (id: string) =>
    props.onChange(
      props.columns.filter((one) => (one.id === id) !== props.shown.includes(one.id)).map((one) => one.id),
    );
  return (
    <Menu closeOnItemClick={false} position="bottom-end" withinPortal>
      <Menu.Target>
        <Tooltip label="Choose columns">
          <ActionIcon variant="default" size={34} aria-label="Choose columns">
            <IconColumns3 size={17} />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflowY: "auto" }}>
        {props.columns.slice(1).map((one) => (
          <Menu.CheckboxItem key={one.id} checked={props.shown.includes(one.id)} onClick={() => choose(one.id)}>
            {one.label}
          </Menu.CheckboxItem>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
