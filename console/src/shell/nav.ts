import {
  IconArrowsSplit2,
  IconBuildingStore,
  IconCash,
  IconChartBar,
  IconGauge,
  IconHash,
  IconKey,
  IconPhone,
  IconSettings,
  IconSpeakerphone,
  IconTag,
  IconUsers,
  IconUsersGroup,
} from "@tabler/icons-react";
import type { ComponentType } from "react";
import type { Need } from "../api/session";

/** One entry of the side navigation. It appears as soon as routes.tsx has its path. */
export interface NavEntry {
  path: string;
  label: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  keys: string;
  need: Need;
}

export const NAVIGATION: readonly { group: string; entries: readonly NavEntry[] }[] = [
  {
    group: "Watch",
    entries: [
      { path: "/", label: "Overview", icon: IconGauge, keys: "g o", need: "anyone" },
      { path: "/calls", label: "Calls", icon: IconPhone, keys: "g c", need: "anyone" },
      { path: "/reports", label: "Reports", icon: IconChartBar, keys: "g r", need: "anyone" },
    ],
  },
  {
    group: "Network",
    entries: [
      { path: "/campaigns", label: "Campaigns", icon: IconSpeakerphone, keys: "g a", need: "staff" },
      { path: "/flows", label: "Flows", icon: IconArrowsSplit2, keys: "g f", need: "staff" },
      { path: "/numbers", label: "Numbers", icon: IconHash, keys: "g n", need: "staff" },
      { path: "/buyers", label: "Buyers", icon: IconBuildingStore, keys: "g b", need: "staff" },
      { path: "/offers", label: "Offers", icon: IconTag, keys: "g t", need: "staff" },
      { path: "/publishers", label: "Publishers", icon: IconUsersGroup, keys: "g p", need: "staff" },
    ],
  },
  {
    group: "Office",
    entries: [
      { path: "/money", label: "Money", icon: IconCash, keys: "g m", need: "anyone" },
      { path: "/people", label: "People", icon: IconUsers, keys: "g u", need: "admin" },
      { path: "/keys", label: "API keys", icon: IconKey, keys: "g k", need: "admin" },
      { path: "/settings", label: "Settings", icon: IconSettings, keys: "g s", need: "staff" },
    ],
  },
];
