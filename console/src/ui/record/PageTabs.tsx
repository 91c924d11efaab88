import { Tabs } from "@mantine/core";
import { text, useFilters } from "../filters";
import type { ReactNode } from "react";

const TAB = { tab: text };

/** The tab that the address names, the first where it names none. */
export function useTab(tabs: readonly string[]): [string, (tab: string) => void] {
  const [filters, change] = useFilters(TAB);
  const chosen = tabs.find((one) => one === filters.tab) ?? tabs[0] ?? "";
  return [chosen, (tab) => change({ tab: tab === tabs[0] ? undefined : tab } as never)];
}

/** Tabs under a page's title; they are in the address. */
export function PageTabs({ tabs, value, onChange, panel }: { tabs: Readonly<Record<string, ReactNode>>; value: string; onChange: (tab: string) => void; panel: string }) {
  return (
    <Tabs value={value} onChange={(tab) => tab !== null && onChange(tab)} variant="default" styles={{ list: { flexWrap: "nowrap", overflowX: "auto", overflowY: "hidden" }, tab: { whiteSpace: "nowrap" } }}>
      <Tabs.List aria-label="Parts of this page">
        {Object.entries(tabs).map(([id, label]) => (
          <Tabs.Tab key={id} value={id} aria-controls={panel}>
            {label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
    </Tabs>
  );
}

/** What a tab shows. */
export function Panel({ id, label, children }: { id: string; label: string; children: ReactNode }) {
  return (
    <div id={id} role="tabpanel" aria-label={label}>
      {children}
    </div>
  );
}
