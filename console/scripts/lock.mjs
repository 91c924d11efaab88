// The lock file names no registry: anybody's own configuration says where packages come from.
import { readFileSync } from "node:fs";

const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const named = Object.entries(lock.packages).filter(([, one]) => one.resolved !== undefined);
const unchecked = Object.entries(lock.packages).filter(([path, one]) => path !== "" && one.integrity === undefined);
for (const [path] of named) console.error(`${path} has a "resolved" address`);
for (const [path] of unchecked) console.error(`${path} has no "integrity"`);
if (named.length + unchecked.length > 0) {
  console.error("Delete package-lock.json and node_modules, then run `npm install` in console/, which has its own .npmrc");
  process.exit(1);
}
