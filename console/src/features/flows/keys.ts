/** What a key does on the canvas. Pure, so that it can be read in one place. */
export type CanvasAct = "undo" | "redo" | "copy" | "cut" | "paste" | "twice" | "all" | "remove" | "add" | "fit" | "tidy" | "try";

interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
}

export function actOf(pressed: Pressed): CanvasAct | undefined {
  if (pressed.altKey) return undefined;
  const key = pressed.key.toLowerCase();
  if (pressed.ctrlKey || pressed.metaKey) {
    if (key === "z") return pressed.shiftKey ? "redo" : "undo";
    const held: Record<string, CanvasAct> = { y: "redo", c: "copy", x: "cut", v: "paste", d: "twice", a: "all" };
    return held[key];
  }
  const plain: Record<string, CanvasAct> = { delete: "remove", backspace: "remove", a: "add", f: "fit", t: "tidy", p: "try" };
  return plain[key];
}
