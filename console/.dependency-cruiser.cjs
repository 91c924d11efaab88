/** What may import what: features know the API and the primitives, and nothing of each other. */
module.exports = {
  forbidden: [
    {
      name: "a-feature-imports-no-other-feature",
      severity: "error",
      from: { path: "^src/features/([^/]+)/" },
      to: { path: "^src/features/", pathNot: "^src/features/$1/" },
    },
    {
      name: "a-feature-knows-no-shell",
      severity: "error",
      from: { path: "^src/features/" },
      to: { path: "^src/(shell|routes|main)" },
    },
    {
      name: "primitives-know-no-page",
      severity: "error",
      from: { path: "^src/ui/" },
      to: { path: "^src/(features|shell|routes|main)" },
    },
    {
      name: "the-api-knows-no-page",
      severity: "error",
      from: { path: "^src/api/" },
      to: { path: "^src/(features|shell|ui|routes|main)" },
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    { name: "no-orphans", severity: "error", from: { orphan: true, pathNot: "\\.(test\\.tsx?|d\\.ts)$|^src/main\\.tsx$" }, to: {} },
    {
      name: "nothing-undeclared",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown", "undetermined"], pathNot: "\\.css$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
  },
};
