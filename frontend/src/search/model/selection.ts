/** Which runs are chosen: some by handle, or all that match, those to come included. */

export interface Selection {
  readonly handles: ReadonlySet<string>;
  readonly all: boolean;
  /** Where a range with Shift begins: a place in the table. */
  readonly anchor: number | null;
}

export const NONE: Selection = { handles: new Set(), all: false, anchor: null };

export function isChosen(selection: Selection, handle: string): boolean {
  return selection.all || selection.handles.has(handle);
}

/** Taking one out of all leaves those that are known: `loaded`. */
export function toggle(selection: Selection, handle: string, place: number, loaded: readonly string[]): Selection {
  const handles = new Set(selection.all ? loaded : selection.handles);
  if (!handles.delete(handle)) handles.add(handle);
  return { handles, all: false, anchor: place };
}

/** Adds everything from the anchor to here. */
export function extend(selection: Selection, range: readonly string[], place: number): Selection {
  return { handles: new Set([...selection.handles, ...range]), all: false, anchor: selection.anchor ?? place };
}

export function rangeTo(selection: Selection, place: number): [number, number] {
  const anchor = selection.anchor ?? place;
  return [Math.min(anchor, place), Math.max(anchor, place)];
}

export function chooseAll(): Selection {
  return { handles: new Set(), all: true, anchor: null };
}
