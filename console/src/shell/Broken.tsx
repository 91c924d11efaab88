import { Button } from "@mantine/core";
import { IconMapPinOff } from "@tabler/icons-react";
import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { Empty } from "../ui/Empty";
import { ErrorNote } from "../ui/ErrorNote";
import { Page } from "../ui/Page";

/** Where a page could not be shown. */
export function Broken(props: ErrorComponentProps) {
  return (
    <Page title="This page could not be shown" narrow>
      <ErrorNote error={props.error} retry={props.reset} />
    </Page>
  );
}

/** Where nothing is. */
export function Missing() {
  return (
    <Page title="Nothing is here">
      <Empty
        icon={<IconMapPinOff size={22} />}
        title="There is no such page"
        action={
          <Button component={Link} to="/" variant="default">
            To the overview
          </Button>
        }
      >
        The address may have a mistake, or what was here has been renamed.
      </Empty>
    </Page>
  );
}
