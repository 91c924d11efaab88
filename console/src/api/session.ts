import { queryOptions, useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { read, type Shapes, signedIn } from "./client";
import { Refused } from "./problem";

/** Who is signed in. */
export type Me = Shapes["Me"];
export type Role = Me["role"];

const STAFF: ReadonlySet<Role> = new Set(["admin", "manager", "analyst"]);

export const me = queryOptions({
  queryKey: ["/api/session"],
  queryFn: async ({ signal }): Promise<Me | null> => {
    // Asked for by who may be signed out, too: that is no error, and the browser does not tell it as one.
    const { me: found } = await read("/api/session", { signal });
    if (found !== null) signedIn(found.csrf_token);
    return found;
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** Who is signed in; for pages, which nobody else sees. */
export function useMe(): Me {
  const { data } = useSuspenseQuery(me);
  if (data === null) throw new Refused({ status: 401, code: "not_signed_in", detail: "You are signed out" });
  return data;
}

/** The zone that all times are shown in, and the currency of all money. */
export function useAccount(): { name: string; currency: string; timeZone: string } {
  const { data } = useQuery(me);
  return { name: data?.account ?? "", currency: data?.currency ?? "USD", timeZone: data?.time_zone ?? "UTC" };
}

/** What a role may, as the server's table of permissions says; the server enforces it, pages only hide. */
export type Need = "anyone" | "staff" | "change" | "admin";

export function may(role: Role, need: Need): boolean {
  switch (need) {
    case "anyone":
      return true;
    case "staff":
      return STAFF.has(role);
    case "change":
      return role === "admin" || role === "manager";
    case "admin":
      return role === "admin";
  }
}

/** Whether who is signed in may do what needs this. */
export function useMay(need: Need): boolean {
  return may(useMe().role, need);
}
