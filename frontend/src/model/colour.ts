/** Colours for runs, categories and continuous values, told apart on either ground and by colour-blind eyes. */

import { interpolateViridis } from 'd3-scale-chromatic';
import { showScalar } from './numbers';
import type { Scalar } from './types';
import type { Range } from './viewport';

export type Rgb = readonly [number, number, number];
export type Ground = 'light' | 'dark';

/** Okabe and Ito's eight, each ground's own shade where the original would vanish on it. */
const FIRST: Record<Ground, string[]> = {
  light: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#b5a800', '#3b4652'],
  dark: ['#3a9be0', '#f0743a', '#12b98a', '#dd8fbb', '#e69f00', '#7cc8f5', '#f0e442', '#c3ccd6'],
};

export const GROUND: Record<Ground, Rgb> = { light: [255, 255, 255], dark: [20, 27, 35] };
/** A run without the bound attribute. */
export const NONE: Record<Ground, Rgb> = { light: [150, 160, 170], dark: [110, 122, 135] };

export function hexToRgb(hex: string): Rgb {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

export function css(rgb: Rgb): string {
  return `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]})`;
}

export function mix(a: Rgb, b: Rgb, share: number): Rgb {
  const at = (i: 0 | 1 | 2): number => Math.round(a[i] + (b[i] - a[i]) * share);
  return [at(0), at(1), at(2)];
}

/** OKLCH to sRGB: equal lightness steps look equal, whatever the hue. */
function oklch(l: number, chroma: number, hueDegrees: number): Rgb {
  const a = chroma * Math.cos((hueDegrees * Math.PI) / 180);
  const b = chroma * Math.sin((hueDegrees * Math.PI) / 180);
  const [x, y, z] = [
    (l + 0.3963377774 * a + 0.2158037573 * b) ** 3,
    (l - 0.1055613458 * a - 0.0638541728 * b) ** 3,
    (l - 0.0894841775 * a - 1.291485548 * b) ** 3,
  ];
  const channel = (v: number): number => {
    const clipped = Math.max(0, Math.min(1, v));
    return Math.round(255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055));
  };
  return [
    channel(4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z),
    channel(-1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z),
    channel(-0.0041960863 * x - 0.7034186147 * y + 1.707614701 * z),
  ];
}

/** sRGB to lightness, chroma and hue of OKLCH. */
function toOklch(rgb: Rgb): [number, number, number] {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  const x = 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s;
  const y = 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s;
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, Math.hypot(x, y), (Math.atan2(y, x) * 180) / Math.PI];
}

/** Lighter and darker kin of a hue, the hue itself first: what they differ in must not decide what they belong to. */
const SHADES = [0, 0.14, -0.12, 0.24, -0.2];
const LIGHTNESS: Record<Ground, [number, number]> = { light: [0.3, 0.8], dark: [0.5, 0.94] };

export function shade(rgb: Rgb, index: number, ground: Ground): Rgb {
  const by = SHADES[index % SHADES.length]!;
  if (by === 0) return rgb;
  const [l, chroma, hue] = toOklch(rgb);
  const [least, most] = LIGHTNESS[ground];
  return oklch(Math.max(least, Math.min(most, l + by)), chroma * (by > 0 ? 0.8 : 1), hue);
}

export function categoryColour(index: number, ground: Ground): Rgb {
  const first = FIRST[ground][index];
  if (first) return hexToRgb(first);
  const k = index - 8;
  const lightness = (ground === 'light' ? [0.56, 0.48, 0.64] : [0.74, 0.66, 0.82])[k % 3]!;
  return oklch(lightness, 0.13, (35 + k * 137.508) % 360);
}

/** The part of viridis that neither ground swallows. */
const TRIM: Record<Ground, [number, number]> = { light: [0, 0.82], dark: [0.26, 1] };

export function rampColour(t: number, ground: Ground): Rgb {
  const [from, to] = TRIM[ground];
  const value = interpolateViridis(from + (to - from) * Math.max(0, Math.min(1, t)));
  if (value.startsWith('#')) return hexToRgb(value);
  const [r, g, b] = value.match(/\d+/g)!.map(Number) as [number, number, number];
  return [r, g, b];
}

/** 256 entries of RGBA8. A negative index does not occur; hidden categories never reach the screen. */
export type Table = Uint8Array<ArrayBuffer>;

export function rampTable(ground: Ground): Table {
  return table((i) => rampColour(i / 255, ground));
}

export function categoryTable(ground: Ground): Table {
  return table((i) => categoryColour(i, ground));
}

function table(at: (i: number) => Rgb): Table {
  const out = new Uint8Array(1024);
  for (let i = 0; i < 256; i += 1) out.set([...at(i), 255], i * 4);
  return out;
}

/** Colour numbers stay with their owners while these come and go. */
export class ColourBook {
  private readonly numbers = new Map<string, number>();

  numberOf(key: string): number {
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.numbers.size;
      this.numbers.set(key, number);
    }
    return number;
  }

  clear(): void {
    this.numbers.clear();
  }
}

export interface Ramp {
  domain: Range;
  log: boolean;
}

/** Positive values over two decades and more are spread by their logarithm. */
export function rampFor(values: number[]): Ramp | null {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return null;
  const min = finite.reduce((a, b) => Math.min(a, b));
  const max = finite.reduce((a, b) => Math.max(a, b));
  return { domain: { min, max }, log: min > 0 && max / min >= 100 };
}

export function rampPosition(value: number, ramp: Ramp): number {
  const { min, max } = ramp.domain;
  if (max === min) return 0.5;
  return ramp.log ? Math.log(value / min) / Math.log(max / min) : (value - min) / (max - min);
}

export function categoryKey(value: Scalar | null): string {
  return `is:${showScalar(value)}`;
}
