import { geoPath } from "d3-geo";
import { useEffect, useState } from "react";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { count } from "../../ui/format";
import { CODES } from "./states";
import classes from "./Overview.module.css";

interface Shape {
  code: string;
  name: string;
  path: string;
}

/** The states, darker where more calls come from. The shapes are read when the map is first shown. */
export default function StateMap({ counts }: { counts: ReadonlyMap<string, number> }) {
  const [shapes, setShapes] = useState<readonly Shape[]>([]);
  useEffect(() => {
    let wanted = true;
    void import("us-atlas/states-albers-10m.json").then((atlas) => {
      if (wanted) setShapes(shapesOf(atlas.default as unknown as Topology));
    });
    return () => {
      wanted = false;
    };
  }, []);
  const most = Math.max(1, ...counts.values());
  return (
    <svg viewBox="0 0 975 610" role="img" aria-label="Map of the states that today’s calls come from" className={classes.states2}>
      {shapes.map((shape) => {
        const calls = counts.get(shape.code) ?? 0;
        return (
          <path key={shape.name} d={shape.path} className={classes.state} style={calls > 0 ? { fillOpacity: 0.2 + 0.8 * Math.sqrt(calls / most) } : undefined} data-some={calls > 0 || undefined}>
            <title>{`${shape.name}: ${count(calls)}`}</title>
          </path>
        );
      })}
    </svg>
  );
}

function shapesOf(atlas: Topology): Shape[] {
  const path = geoPath();
  const states = atlas.objects.states as GeometryCollection<{ name: string }>;
  return feature(atlas, states).features.map((one) => ({
    code: CODES[one.properties.name] ?? "",
    name: one.properties.name,
    path: path(one) ?? "",
  }));
}
