import { Button } from "@mantine/core";
import { IconArrowUp, IconPhone, IconPhoneOff } from "@tabler/icons-react";
import { useMemo, useRef, useState } from "react";
import { useAccount, useMay, useMe } from "../../api/session";
import { ColumnChooser, DataTable, type TableHandle, useShown } from "../../ui/DataTable";
import { daysChosen } from "../../ui/days";
import { Empty } from "../../ui/Empty";
import { useFilters } from "../../ui/filters";
import { count } from "../../ui/format";
import { Page } from "../../ui/Page";
import { Zone } from "../../ui/Values";
import { columnsFor, compactCall } from "./columns";
import { ExportButton } from "./ExportButton";
import { FilterBar } from "./FilterBar";
import { type CallFilters, type ChosenFilters, FILTERS, NOTHING, queryOf } from "./filters";
import { ListActs } from "./ListActs";
import { useCalls } from "./useCalls";
import { Views } from "./Views";
import classes from "./Calls.module.css";

/** Every call: live at the top, found by filters in the address. */
export function CallsPage() {
  const { role } = useMe();
  const staff = useMay("staff");
  const mayChange = useMay("change");
  const [chosen, change] = useFilters(FILTERS);
  const filters = useAsked(chosen);
  const columns = useMemo(() => columnsFor(role), [role]);
  const [shown, setShown] = useShown("calls", columns);
  const [atTop, setAtTop] = useState(true);
  const table = useRef<TableHandle>(null);
  const { rows, arrived } = useCalls(filters, atTop);
  const filtered = queryOf(chosen) !== "";
  return (
    <Page
      title="Calls"
      note={<Zone />}
      fill
      actions={
        <>
          <Views filters={chosen} columns={shown} onFilters={change} onColumns={setShown} />
          <ColumnChooser columns={columns} shown={shown} onChange={setShown} />
          <ExportButton filters={filters} />
          {mayChange && <ListActs filters={filters} />}
        </>
      }
      bar={<FilterBar filters={chosen} onChange={change} staff={staff} role={role} />}
    >
      <div className={classes.table}>
        {arrived > 0 && !atTop && (
          <Button
            className={classes.arrived}
            size="compact-sm"
            radius="xl"
            leftSection={<IconArrowUp size={14} />}
            onClick={() => table.current?.toTop()}
          >
            {arrived === 1 ? "1 new call" : `${count(arrived)} new calls`}
          </Button>
        )}
        <DataTable
          label="Calls"
          handle={table}
          onTop={setAtTop}
          rows={rows}
          columns={columns}
          shown={shown}
          id={(call) => call.id}
          noun={rows.rows.length === 1 ? "call" : "calls"}
          compact={compactCall}
          compactHeight={64}
          empty={
            filtered ? (
              <Empty
                icon={<IconPhoneOff size={22} />}
                title="No call is like that"
                action={
                  <Button variant="default" onClick={() => change(NOTHING)}>
                    Show all calls
                  </Button>
                }
              >
                Take a filter away, or choose more days.
              </Empty>
            ) : (
              <Empty icon={<IconPhone size={22} />} title="No calls yet">
                As soon as somebody dials one of your numbers, the call appears here while it happens: where it came from,
                who was asked, who took it and what it earned.
              </Empty>
            )
          }
        />
      </div>
    </Page>
  );
}

/** The filters as they are asked: days as instants of the account's zone, fixed for as long as they are chosen. */
function useAsked({ days, ...rest }: ChosenFilters): CallFilters {
  const { timeZone } = useAccount();
  const key = JSON.stringify([rest, days, timeZone]);
  // The key has all that counts; `rest` is made anew each time.
  return useMemo(() => ({ ...rest, ...daysChosen(days, timeZone, new Date()) }), [key]);
}
