/**
 * Numbers within bounds, as digits. Integers have up to 15 digits, so that every reader sees the same value. Numbers
 * with a fraction have an exponent only where nothing bounds them; within bounds the fraction is short enough that no
 * reader rounds it onto the bound. There is no `-0`.
 */
import { intersect } from './intersect.ts';
import { DIGIT } from './json-text.ts';
import { tooLarge } from './limits.ts';
import type { Place } from './limits.ts';
import { bytes, choice, EMPTY, literal, NONE, optional, repeat, rule, sequence } from './nodes.ts';
import type { Node, Rule } from './nodes.ts';
import { settle } from './settle.ts';

export interface Bound {
  value: number;
  exclusive: boolean;
}

export interface NumberFacts {
  min: Bound | null;
  max: Bound | null;
  multiples: readonly number[];
}

const DIGITS = 15;
const LARGEST = 10 ** DIGITS - 1;
const FRACTION_DIGITS = 6;
/** Of a quotient by a step that is no whole number. */
const QUOTIENT_DIGITS = 9;
/** States that remainders take. */
const MOST_REMAINDERS = 10_000;

const NONZERO = bytes([0x31, 0x39]);
const MINUS = literal('-');
const POINT = literal('.');
const digits = (min: number, max = min): Node => repeat(DIGIT, min, max);
const digitRange = (low: number, high: number): Node =>
  low > high ? NONE : bytes([0x30 + low, 0x30 + high]);

export function numberNode(facts: NumberFacts, integer: boolean, place: Place): Node {
  const { min, max, multiples } = facts;
  const whole = integer || multiples.some((each) => Number.isInteger(each));
  const bounded = whole ? integers(facts) : min || max ? decimals(facts) : null;
  const parts = [
    ...(bounded ? [bounded] : multiples.length > 0 ? [PLAIN] : []),
    ...multiples.map((each) => multiplesOf(each, place)),
    ...multiples.filter((each) => !Number.isInteger(each)).map((each) => divisible(each, [min, max])),
  ];
  return parts.length === 0 ? FREE : intersect(parts, place); // also one part: it comes out smaller
}

const WHOLE = choice(literal('0'), sequence(NONZERO, digits(0, DIGITS - 1)));
const PLAIN = sequence(optional(MINUS), WHOLE, optional(sequence(POINT, digits(1, Infinity))));
const FREE = sequence(
  PLAIN,
  optional(
    sequence(bytes([0x45, 0x45], [0x65, 0x65]), optional(bytes([0x2b, 0x2b], [0x2d, 0x2d])), digits(1, 2)),
  ),
);

function integers({ min, max }: NumberFacts): Node {
  const low = min
    ? Math.max(-LARGEST, Math.ceil(min.value) + Number(min.exclusive && Number.isInteger(min.value)))
    : -LARGEST;
  const high = max
    ? Math.min(LARGEST, Math.floor(max.value) - Number(max.exclusive && Number.isInteger(max.value)))
    : LARGEST;
  return choice(sequence(MINUS, naturals(Math.max(1, -high), -low)), naturals(Math.max(0, low), high));
}

/** Whole numbers from `low` to `high`, both at least 0. */
function naturals(low: number, high: number): Node {
  if (low > high) return NONE;
  const options: Node[] = [];
  for (let length = String(low).length; length <= String(high).length; length++) {
    const from = Math.max(low, length === 1 ? 0 : 10 ** (length - 1));
    options.push(sameLength(String(from), String(Math.min(high, 10 ** length - 1))));
  }
  return choice(...options);
}

function sameLength(from: string, to: string): Node {
  if (from === '') return EMPTY;
  if (/^0*$/.test(from) && /^9*$/.test(to)) return digits(from.length);
  const [low, high] = [Number(from[0]), Number(to[0])];
  const rest = from.length - 1;
  if (low === high) return sequence(digitRange(low, low), sameLength(from.slice(1), to.slice(1)));
  return choice(
    sequence(digitRange(low, low), sameLength(from.slice(1), '9'.repeat(rest))),
    sequence(digitRange(low + 1, high - 1), digits(rest)),
    sequence(digitRange(high, high), sameLength('0'.repeat(rest), to.slice(1))),
  );
}

function decimals({ min, max }: NumberFacts): Node {
  const zero: Bound = { value: 0, exclusive: false };
  const options: Node[] = [];
  if (!min || min.value < 0) {
    const nearest = max && max.value < 0 ? max : { value: 0, exclusive: true };
    options.push(sequence(MINUS, magnitudes(nearest, min)));
  }
  if (!max || max.value > 0 || (max.value === 0 && !max.exclusive)) {
    options.push(magnitudes(min && min.value >= 0 ? min : zero, max));
  }
  return choice(...options);
}

/** Decimal digits of a magnitude: no exponent, no zero at the fraction's end. */
function plainDigits(value: number): { whole: string; fraction: string } {
  const [mantissa, exponent = '0'] = String(Math.abs(value)).split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const shift = Number(exponent);
  const padded = `${'0'.repeat(Math.max(0, -shift))}${whole}${fraction}${'0'.repeat(Math.max(0, shift - fraction.length))}`;
  const point = Math.max(0, -shift) + whole.length + shift;
  return {
    whole: padded.slice(0, point).replace(/^0+(?=\d)/, '') || '0',
    fraction: padded.slice(point).replace(/0+$/, ''),
  };
}

/** Magnitudes from `low` to `high`, whose values count without their signs. */
function magnitudes(low: Bound, high: Bound | null): Node {
  const bounds = [low, ...(high ? [high] : [])].map(({ value }) => plainDigits(value));
  const longest = Math.max(...bounds.map(({ whole }) => whole.length));
  const places = Math.max(
    ...bounds.map(({ fraction }) => fraction.length),
    Math.min(FRACTION_DIGITS, DIGITS - longest),
  );
  const shape = sequence(WHOLE, places > 0 ? optional(sequence(POINT, digits(1, places))) : EMPTY);
  return intersect([shape, atLeast(low), ...(high ? [atMost(high)] : [])], '');
}

const ANY_FRACTION = optional(sequence(POINT, digits(1, Infinity)));
const NOT_ONLY_ZEROS = sequence(digits(0, Infinity), NONZERO, digits(0, Infinity));

/** Digits that differ from `text` first at some place, where `range` says which digits may stand there. */
function firstDifference(
  text: string,
  range: (digit: number, place: number) => Node,
  rest: (left: number) => Node,
): Node {
  return choice(
    ...Array.from(text, (digit, i) =>
      sequence(literal(text.slice(0, i)), range(Number(digit), i), rest(text.length - i - 1)),
    ),
  );
}

function atLeast({ value, exclusive }: Bound): Node {
  const { whole, fraction } = plainDigits(value);
  const larger = (digit: number): Node => digitRange(digit + 1, 9);
  const end = exclusive ? NOT_ONLY_ZEROS : digits(0, Infinity);
  const fractions =
    fraction === ''
      ? exclusive
        ? sequence(POINT, NOT_ONLY_ZEROS)
        : ANY_FRACTION
      : sequence(
          POINT,
          choice(
            firstDifference(fraction, larger, () => digits(0, Infinity)),
            sequence(literal(fraction), end),
          ),
        );
  return choice(
    sequence(NONZERO, digits(whole.length, Infinity), ANY_FRACTION),
    sequence(
      firstDifference(whole, larger, (left) => digits(left)),
      ANY_FRACTION,
    ),
    sequence(literal(whole), fractions),
  );
}

function atMost({ value, exclusive }: Bound): Node {
  const { whole, fraction } = plainDigits(value);
  const zeros = repeat(literal('0'), 1, Infinity);
  const equal = exclusive ? NONE : sequence(literal(fraction), repeat(literal('0'), 0, Infinity));
  const fractions =
    fraction === ''
      ? exclusive
        ? NONE
        : optional(sequence(POINT, zeros))
      : choice(
          EMPTY,
          sequence(
            POINT,
            choice(
              firstDifference(
                fraction,
                (digit) => digitRange(0, digit - 1),
                () => digits(0, Infinity),
              ),
              // A beginning of the fraction is less than all of it, which does not end with 0.
              ...Array.from(fraction.slice(1), (_, i) => literal(fraction.slice(0, i + 1))),
              equal,
            ),
          ),
        );
  const shorter =
    whole.length === 1 ? NONE : choice(literal('0'), sequence(NONZERO, digits(0, whole.length - 2)));
  const smaller = (digit: number, place: number): Node =>
    digitRange(place === 0 && whole.length > 1 ? 1 : 0, digit - 1);
  return choice(
    sequence(shorter, ANY_FRACTION),
    sequence(
      firstDifference(whole, smaller, (left) => digits(left)),
      ANY_FRACTION,
    ),
    sequence(literal(whole), fractions),
  );
}

/**
 * Numbers so short that readers who divide them by `step` as doubles, and look for a whole quotient within a millionth
 * (Ajv's `multipleOfPrecision`), find it: 0.1 has no double, and neither has 444444444444444.4. Bounds may ask for more.
 */
function divisible(step: number, bounds: readonly (Bound | null)[]): Node {
  const asked = bounds.map((bound) => (bound ? plainDigits(bound.value).whole.length : 1));
  const whole = Math.max(QUOTIENT_DIGITS - plainDigits(step).fraction.length, ...asked);
  return sequence(optional(MINUS), digits(1, whole), optional(sequence(POINT, digits(1, Infinity))));
}

/**
 * Decimal numbers that are a whole multiple of `step`, in exact arithmetic: `step` is m / 10^d, and the digits read so
 * far matter only by their remainder modulo m.
 */
function multiplesOf(step: number, place: Place): Node {
  const { whole, fraction } = plainDigits(step);
  const modulus = Number(whole + fraction);
  const places = fraction.length;
  if (modulus * (places + 1) > MOST_REMAINDERS) throw tooLarge('multipleOf', place, step, MOST_REMAINDERS);
  const rules: Rule[] = [];
  const known = new Map<number, Node>();
  /** `read` fraction digits so far; -1 before the point. */
  const after = (remainder: number, read: number): Node => {
    const key = remainder * (places + 2) + read + 1;
    const found = known.get(key);
    if (found) return found;
    const made = rule();
    known.set(key, made.node);
    rules.push(made.rule);
    const isMultiple = (remainder * 10 ** (places - Math.max(0, read))) % modulus === 0;
    const more = Array.from({ length: read < places ? 10 : 0 }, (_, digit) =>
      sequence(literal(String(digit)), after((remainder * 10 + digit) % modulus, read < 0 ? -1 : read + 1)),
    );
    made.rule.body = choice(
      ...more,
      read < 0 && places > 0 ? sequence(POINT, after(remainder, 0)) : NONE,
      isMultiple && read !== 0 ? EMPTY : NONE,
    );
    return made.node;
  };
  const node = sequence(optional(MINUS), after(0, -1));
  settle(rules);
  return node;
}
