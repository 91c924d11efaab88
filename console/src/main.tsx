import "@fontsource-variable/inter/wght.css";
import "@mantine/core/styles.css";
import "./ui/base.css";
import { MantineProvider } from "@mantine/core";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Refused } from "./api/problem";
import { me } from "./api/session";
import { routerOn } from "./routes";
import { AskingProvider } from "./ui/asking";
import { schemeManager } from "./ui/scheme";
import { theme, variables } from "./ui/theme";
import { ToastProvider } from "./ui/toasts";

const STALE_MS = 15_000;
const RETRIES = 3;

/** What the server refused stays refused; what could not reach it is tried again. */
function mayRetry(failures: number, error: Error): boolean {
  return failures < RETRIES && !(error instanceof Refused && error.status > 0 && error.status < 500);
}

const cache = new QueryClient({
  defaultOptions: { queries: { staleTime: STALE_MS, retry: mayRetry } },
  queryCache: new QueryCache({
    onError: (error) => {
      if (!(error instanceof Refused) || error.status !== 401 || cache.getQueryData(me.queryKey) === null) return;
      void router
        .navigate({ to: "/sign-in", search: { next: router.state.location.href } as never })
        .then(() => cache.setQueryData(me.queryKey, null));
    },
  }),
});
const router = routerOn(cache);

const place = document.getElementById("root");
if (place === null) throw new Error("index.html has no #root");
createRoot(place).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={variables} colorSchemeManager={schemeManager} defaultColorScheme="auto">
      <QueryClientProvider client={cache}>
        <ToastProvider>
          <AskingProvider>
            <RouterProvider router={router} />
          </AskingProvider>
        </ToastProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
