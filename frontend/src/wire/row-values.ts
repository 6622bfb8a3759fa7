/** The exact value of a field or attribute at one row. */

import type { BoundColumn } from '../model/bindings';
import { parseScalar, type Scalar } from '../model/types';
import type { Store, StoredRun } from './store';

export function valueOf(store: Store, stored: StoredRun, column: BoundColumn, row: number): Scalar | null {
  if (column.kind === 'field') return store.valueAt(stored, column.handle, column.type, row);
  const raw = stored.head.attributes[column.handle];
  return raw === undefined ? null : parseScalar(raw, column.type);
}
