/** What differs between two documents, for people and as a merge patch; pure. */

export interface Difference {
  /** Where: `limits.caps.0.limit`. */
  field: string;
  before: unknown;
  after: unknown;
}

type Plain = Record<string, unknown>;

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two values of JSON are the same, whatever the order of their names. */
export function same(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (Array.isArray(left) && Array.isArray(right))
    return left.length === right.length && left.every((one, place) => same(one, right[place]));
  if (!isPlain(left) || !isPlain(right)) return false;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => name in left && name in right && same(left[name], right[name]));
}

/** Every value that differs; a list or object that is there only once is one difference. */
export function differences(before: unknown, after: unknown, field = ""): Difference[] {
  if (same(before, after)) return [];
  const inside = (name: string | number) => (field === "" ? String(name) : `${field}.${name}`);
  if (isPlain(before) && isPlain(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(before[name], after[name], inside(name)));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((one, place) => differences(one, after[place], inside(place)));
  return [{ field, before, after }];
}

/** The names of the fields at the top that differ. */
export function changedFields(before: object, after: object): string[] {
  const [left, right] = [before as Plain, after as Plain];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((name) => !same(left[name], right[name]));
}

/** A merge patch (RFC 7396) that makes one document of the other. */
export function mergePatch(before: object, after: object): Record<string, unknown> {
  const [left, right] = [before as Plain, after as Plain];
  const patch: Plain = {};
  for (const name of changedFields(left, right)) {
    const [old, now] = [left[name], right[name]];
    if (!(name in right) || now === undefined) patch[name] = null;
    else patch[name] = isPlain(old) && isPlain(now) ? mergePatch(old, now) : now;
  }
  return patch;
}

/** A field's place as words: `limits.caps.0.limit` is `Limits, caps 1, limit`. */
export function placeName(field: string): string {
  const text = field
    .split(".")
    .reduce((sum, part) => (/^\d+$/.test(part) ? `${sum} ${Number(part) + 1}` : sum === "" ? part : `${sum}, ${part}`), "")
    .replaceAll("_", " ");
  return text === "" ? "Everything" : text.charAt(0).toUpperCase() + text.slice(1);
}

/** A value in few words. */
export function valueText(value: unknown): string {
  if (value === undefined || value === null || value === "") return "nothing";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" || typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(valueText).join("; ");
  return Object.entries(value)
    .filter(([, one]) => one !== null && one !== "" && !(Array.isArray(one) && one.length === 0))
    .map(([name, one]) => `${name.replaceAll("_", " ")} ${typeof one === "object" ? `(${valueText(one)})` : valueText(one)}`)
    .join(", ");
}
