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
    page("/flows", () => import("./features/flows/FlowsPage"), "FlowsPage"),
    page("/flows/$id", () => import("./features/flows/FlowPage"), "FlowPage"),
    page("/campaigns/$id/plan", () => import("./features/plans/PlanPage"), "PlanPage"),
    page("/campaigns", () => import("./features/campaigns/CampaignsPage"), "CampaignsPage"),
    page("/campaigns/new", () => import("./features/campaigns/NewCampaignPage"), "NewCampaignPage"),
    page("/campaigns/$id", () => import("./features/campaigns/CampaignPage"), "CampaignPage"),
    page("/buyers", () => import("./features/buyers/BuyersPage"), "BuyersPage"),
    page("/buyers/$id", () => import("./features/buyers/BuyerPage"), "BuyerPage"),
    page("/offers", () => import("./features/offers/OffersPage"), "OffersPage"),
    page("/offers/$id", () => import("./features/offers/OfferPage"), "OfferPage"),
    page("/publishers", () => import("./features/publishers/PublishersPage"), "PublishersPage"),
    page("/publishers/$id", () => import("./features/publishers/PublisherPage"), "PublisherPage"),
    page("/numbers", () => import("./features/numbers/NumbersPage"), "NumbersPage"),
    page("/numbers/$id", () => import("./features/numbers/NumberPage"), "NumberPage"),
    page("/connections/$id", () => import("./features/numbers/ConnectionPage"), "ConnectionPage"),
    page("/money", () => import("./features/money/MoneyPage"), "MoneyPage"),
    page("/settings", () => import("./features/settings/SettingsPage"), "SettingsPage"),
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
