import { ActionIcon, Burger, Kbd, UnstyledButton } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate, useRouter } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo } from "react";
import { useLiveCache, useLiveState } from "../api/live";
import { may, useMe } from "../api/session";
import { type Command, useCommands, useKeyboard } from "../ui/shortcuts";
import { NAVIGATION, type NavEntry } from "./nav";
import classes from "./Shell.module.css";
import { SignedInMenu } from "./SignedInMenu";

const Keyboard = lazy(() => import("../ui/CommandPalette"));

/** What is around every page: navigation, who is signed in, and whether what is shown is live. */
export function Shell() {
  useLiveCache(useQueryClient());
  useKeyboard();
  const [menu, menuActs] = useDisclosure();
  const [palette, paletteActs] = useDisclosure();
  const [shortcuts, shortcutActs] = useDisclosure();
  useHotkeys([["mod+K", paletteActs.open]], []);
  useHotkeys([["Escape", menuActs.close]], []);
  const entries = useEntries();
  useCommands(useGoCommands(entries, shortcutActs.open));
  const location = useLocation();
  // Where somebody goes, the menu that they went by closes.
  useEffect(menuActs.close, [location.pathname]);
  const side = <Side entries={entries} onSearch={paletteActs.open} />;
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        Skip to the content
      </a>
      <aside id="side" className={classes.side} data-opened={menu || undefined}>
        {side}
      </aside>
      {menu && <div className={classes.shade} onClick={menuActs.close} aria-hidden />}
      <div className={classes.mobile}>
        <Burger opened={menu} onClick={menuActs.toggle} size="sm" aria-label="Menu" aria-expanded={menu} aria-controls="side" />
        <Brand />
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Find a command" onClick={paletteActs.open}>
          <IconSearch size={18} />
        </ActionIcon>
      </div>
      <main id="content" className={classes.main} tabIndex={-1}>
        <Reconnecting />
        <div className={classes.page}>
          <Suspense fallback={null}>
            <Outlet />
          </Suspense>
        </div>
      </main>
      {(palette || shortcuts) && (
        <Suspense fallback={null}>
          <Keyboard palette={palette} shortcuts={shortcuts} onClosePalette={paletteActs.close} onCloseShortcuts={shortcutActs.close} />
        </Suspense>
      )}
    </div>
  );
}

/** The entries whose pages are there and which the role may see. */
function useEntries(): readonly { group: string; entries: readonly NavEntry[] }[] {
  const { role } = useMe();
  const router = useRouter();
  return useMemo(
    () =>
      NAVIGATION.map(({ group, entries }) => ({
        group,
        entries: entries.filter((one) => one.path in router.routesByPath && may(role, one.need)),
      })).filter(({ entries }) => entries.length > 0),
    [role, router],
  );
}

function useGoCommands(entries: ReturnType<typeof useEntries>, onShortcuts: () => void): readonly Command[] {
  const navigate = useNavigate();
  return useMemo(
    () => [
      ...entries
        .flatMap((group) => group.entries)
        .map((one) => ({ keys: one.keys, label: one.label, group: "Go to", run: () => void navigate({ to: one.path }) })),
      { keys: "?", label: "Keyboard shortcuts", group: "Help", run: onShortcuts },
      { label: "The API's reference", group: "Help", words: "docs openapi", run: () => window.open("/docs", "_blank", "noopener") },
    ],
    [entries, navigate, onShortcuts],
  );
}

function Side(props: { entries: ReturnType<typeof useEntries>; onSearch: () => void }) {
  return (
    <div className={classes.inner}>
      <div className={classes.brandRow}>
        <Brand />
      </div>
      <UnstyledButton className={classes.search} onClick={props.onSearch}>
        <IconSearch size={15} aria-hidden />
        <span>Find…</span>
        <Kbd size="xs">Ctrl K</Kbd>
      </UnstyledButton>
      <div className={classes.entries}>
        <nav aria-label="Main">
          {props.entries.map(({ group, entries }) => (
            <div key={group} className={classes.group}>
              <div className={classes.groupName}>{group}</div>
              {entries.map((entry) => (
                <Link
                  key={entry.path}
                  to={entry.path}
                  title={entry.keys}
                  className={classes.entry}
                  activeOptions={{ exact: entry.path === "/", includeSearch: false }}
                  activeProps={{ "data-active": true, "aria-current": "page" }}
                >
                  <entry.icon size={17} stroke={1.7} />
                  {entry.label}
                </Link>
              ))}
            </div>
          ))}
        </nav>
      </div>
      <SignedInMenu />
    </div>
  );
}

function Brand() {
  return (
    <Link to="/" className={classes.brand}>
      <img src="/icon.svg" alt="" width={22} height={22} />
      CallMatrix
    </Link>
  );
}

/** Told only when the stream has been away for long enough to matter. */
function Reconnecting() {
  const state = useLiveState();
  return (
    <div role="status" className={classes.status}>
      {state === "reconnecting" && (
        <div className={classes.reconnecting}>Reconnecting… What you see may be out of date; nothing is lost.</div>
      )}
    </div>
  );
}
