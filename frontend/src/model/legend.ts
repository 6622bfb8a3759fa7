/** What the colours and sizes of a layer mean. */

import type { Ramp, Rgb } from './colour';
import type { Range } from './viewport';

export interface Category {
  /** As it stands in `hide`. */
  key: string;
  label: string;
  colour: Rgb;
  hidden: boolean;
  /** Of a main group: its sub-groups. */
  within: { label: string; colour: Rgb }[];
}

export type Legend =
  | { kind: 'runs' }
  /** One run, several layers: each has its colour. */
  | { kind: 'layer'; colour: Rgb }
  /** `none`: some run lacks the value. `counts`: of rows in a cell. */
  | { kind: 'ramp'; ramp: Ramp; none: boolean; counts?: boolean }
  | { kind: 'categories'; categories: Category[]; more: number };

export interface SizeLegend {
  domain: Range;
}
