import { useName } from "../api/names";
import { Nothing } from "./Values";

/** What a record is called, by its id. */
export function Name({ id }: { id: string | null | undefined }) {
  const name = useName(id);
  if (id === null || id === undefined || id === "") return <Nothing />;
  return (
    <span className="cm-clip" title={name}>
      {name ?? "…"}
    </span>
  );
}
