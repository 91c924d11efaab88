import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/callmatrix/static";
const SERVER = process.env.CALLMATRIX_SERVER ?? "http://127.0.0.1:8000";
const SQUEEZED = new Set([".js", ".css", ".svg", ".json", ".html"]);

/** Puts a .gz and a .br beside each text file, so that the server compresses nothing itself. */
function squeezed(): Plugin {
  let folder = OUT;
  return {
    name: "squeezed",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !SQUEEZED.has(extname(entry.name))) continue;
        const path = join(entry.parentPath, entry.name);
        const bytes = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(`${path}.br`, brotliCompressSync(bytes));
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), squeezed()],
  build: { outDir: OUT, emptyOutDir: true, target: "es2023", chunkSizeWarningLimit: 700 },
  server: { port: 5173, proxy: { "/api": SERVER, "/healthz": SERVER, "/docs": SERVER, "/openapi.json": SERVER } },
});
