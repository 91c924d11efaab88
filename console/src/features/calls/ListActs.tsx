import { ActionIcon, Menu } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconDotsVertical, IconRefreshDot } from "@tabler/icons-react";
import { lazy, Suspense } from "react";
import type { CallFilters } from "./filters";

const RateAgain = lazy(() => import("./RateAgain"));

/** What can be done with all calls of a filter. */
export function ListActs({ filters }: { filters: CallFilters }) {
  const [opened, acts] = useDisclosure();
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="default" size={34} aria-label="More about these calls">
            <IconDotsVertical size={17} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item leftSection={<IconRefreshDot size={16} />} onClick={acts.open}>
            Rate these calls again
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {opened && (
        <Suspense fallback={null}>
          <RateAgain filters={filters} opened={opened} onClose={acts.close} />
        </Suspense>
      )}
    </>
  );
}
