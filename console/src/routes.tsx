import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import type { ComponentType } from "react";
import { me } from "./api/session";
import { Broken, Missing } from "./shell/Broken";
import { Shell } from "./shell/Shell";

const root = createRootRouteWithContext<{ cache: QueryClient }>()({
  component: Outlet,
  errorComponent: Broken,
  notFoundComponent: Missing,
});

/** Around every page that needs somebody signed in. */
const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    if ((await context.cache.ensureQueryData(me)) === null)
      throw redirect({ to: "/sign-in", search: location.href === "/" ? {} : { next: location.href } });
  },
});

/** A page inside the shell, read when it is first opened: `page("/calls", () => import(…), "CallsPage")`. */
function page<const P extends string, N extends string>(
  path: P,
  load: () => Promise<Record<N, ComponentType>>,
  name: N,
) {
  return createRoute({
    getParentRoute: () => shell,
    path,
    component: lazyRouteComponent(load as never, name as never),
  });
}

/** A page of somebody who is not signed in. */
function outside<const P extends string, N extends string>(path: P, load: () => Promise<Record<N, ComponentType>>, name: N) {
  return createRoute({
    getParentRoute: () => root,
    path,
    component: lazyRouteComponent(load as never, name as never),
  });
}

const tree = root.addChildren([
  outside("/sign-in", () => import("./features/sign-in/SignInPage"), "SignInPage"),
  outside("/first-sign-in", () => import("./features/sign-in/FirstSignInPage"), "FirstSignInPage"),
  shell.addChildren([
    page("/", () => import("./features/overview/OverviewPage"), "OverviewPage"),
    page("/calls", () => import("./features/calls/CallsPage"), "CallsPage"),
    page("/calls/$id", () => import("./features/calls/CallPage"), "CallPage"),
    page("/people", () => import("./features/people/PeoplePage"), "PeoplePage"),
    page("/keys", () => import("./features/people/KeysPage"), "KeysPage"),
    page("/me", () => import("./features/people/MePage"), "MePage"),
  ]),
]);

/** The addresses of the console. Parameters after the `?` are plain texts. */
export function routerOn(cache: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { cache },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: Broken,
    scrollRestoration: true,
    parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
    stringifySearch: (search) => {
      const text = new URLSearchParams(Object.entries(search).map(([name, value]) => [name, String(value)])).toString();
      return text === "" ? "" : `?${text}`;
    },
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof routerOn>;
  }
}
