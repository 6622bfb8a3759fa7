/** The text beside the newest drawn row of each line. */

import { showScalar } from '../model/numbers';
import type { GroupLine, Lines, RunLines } from './lines';
import { valueOf } from './row-values';
import type { LayerInfo } from './protocol';

/** More of them would cover one another. */
const MOST_LABELS = 30;

export function labelsOf(lines: Lines, shown: { run: RunLines; group: GroupLine }[]): LayerInfo['labels'] {
  const { label } = lines.request;
  if (!label || shown.length > MOST_LABELS) return [];
  return shown.flatMap(({ run, group: { id, line, smooth } }) => {
    for (let i = line.n - 1; i >= 0; i -= 1) {
      if (line.y[i] !== line.y[i]) continue;
      const value = valueOf(lines.store, run.stored, label, line.rowAt(i));
      return [{ id, x: line.x[i]!, y: (smooth?.line ?? line).y[i]!, text: showScalar(value) }];
    }
    return [];
  });
}
