/** What a node that is dragged out of the palette is called in the browser's clipboard of drags. */
export const DRAGGED = "application/x-callmatrix-node";
