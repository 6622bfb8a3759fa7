/** Searches that are kept: one's own, and those that others share. */

import { deleteAt, getAll, postJson, type Access } from '../../wire/http';
import type { FilterJson } from '../model/types';

export interface SavedSearch {
  handle: string;
  name: string;
  owner: string;
  mine: boolean;
  shared: boolean;
  filter: FilterJson;
  /** `null`: a field or series of it was deleted. */
  text: string | null;
}

export class Searches {
  constructor(private readonly access: Access) {}

  all(): Promise<SavedSearch[]> {
    return getAll(this.access, 'searches/');
  }

  save(name: string, filter: FilterJson, shared: boolean): Promise<SavedSearch> {
    return postJson(this.access, 'searches/', { name, filter, shared });
  }

  delete(handle: string): Promise<void> {
    return deleteAt(this.access, `searches/${handle}/`);
  }
}
