import type { MantineColorSchemeManager } from "@mantine/core";

const KEY = "callmatrix-scheme";

/** Keeps light, dark or the system's choice where /scheme.js finds it before anything is drawn. */
export const schemeManager: MantineColorSchemeManager = {
  get: (usual) => {
    try {
      const value = localStorage.getItem(KEY);
      return value === "light" || value === "dark" || value === "auto" ? value : usual;
    } catch {
      return usual;
    }
  },
  set: (value) => {
    try {
      localStorage.setItem(KEY, value);
    } catch {
      // Then it lasts until the page is left.
    }
  },
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => {},
};
