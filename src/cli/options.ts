/** Values of options, checked where they are read. */
import { TintypeError } from '../errors.ts';

/** A whole number within bounds, both included. */
export function toInteger(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TintypeError('bad_option', {
    what: `${option} is not usable`,
    got: JSON.stringify(text),
    wanted: `a whole number from ${least} to ${most}`,
  });
}

/** A number within bounds, both included. */
export function toNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least && value <= most) return value;
  throw new TintypeError('bad_option', {
    what: `${option} is not usable`,
    got: JSON.stringify(text),
    wanted: `a number from ${least} to ${most}`,
  });
}

/** A parser of whole numbers from `least` on, as commander's options take one. */
export const whole =
  (option: string, least: number) =>
  (text: string): number =>
    toInteger(option, text, least, Number.MAX_SAFE_INTEGER);

const BYTE_UNITS: Readonly<Record<string, number>> = {
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** A size in bytes, written as `4GB`, `512MiB` or a plain number. */
export function toBytes(option: string, text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmg]i?b)?$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(number) * (unit === undefined ? 1 : BYTE_UNITS[unit.toLowerCase()]));
  if (bytes > 0) return bytes;
  throw new TintypeError('bad_option', {
    what: `${option} is not usable`,
    got: JSON.stringify(text),
    wanted: 'a size such as 4GB, 512MiB or a number of bytes',
  });
}
