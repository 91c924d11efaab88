import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import { signedIn } from "../../api/client";
import { type Me, me } from "../../api/session";

/** Where to go after signing in: a path of our own, never another site. */
export function onward(next: unknown): string {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) && !next.startsWith("/sign-in") ? next : "/";
}

/** Go in as who was just signed in, to where they wanted to go. */
export function useEnter(): (who: Me) => Promise<void> {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const { next } = useSearch({ strict: false }) as { next?: unknown };
  return useCallback(
    async (who: Me) => {
      cache.clear();
      signedIn(who.csrf_token);
      cache.setQueryData(me.queryKey, who);
      await navigate({ href: onward(next), replace: true } as never);
    },
    [cache, navigate, next],
  );
}
