/** Series and fields by handle, asked once, and again when one is not known. */

import type { Field, Series } from '../../model/types';
import { getAll, type Access } from '../../wire/http';

export class Catalogue {
  private asked: Promise<[Series[], Field[]]> | null = null;
  private fields = new Map<string, Field>();

  constructor(private readonly access: Access) {}

  async series(): Promise<Series[]> {
    this.asked ??= Promise.all([getAll<Series>(this.access, 'series/'), getAll<Field>(this.access, 'fields/')]);
    try {
      const [series, fields] = await this.asked;
      this.fields = new Map(fields.map((field) => [field.handle, field]));
      return series;
    } catch (error) {
      this.asked = null;
      throw error;
    }
  }

  /** After `series`. */
  field(handle: string): Field | undefined {
    const found = this.fields.get(handle);
    if (!found) this.asked = null;
    return found;
  }
}
