/**
 * Formats of JSON Schema (draft 2020-12, "format"), as patterns. Each describes a part of the format that every
 * validator accepts: no leap seconds, no comments in addresses, no letters beyond ASCII.
 */

const LEAP_YEAR = String.raw`(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`;
const DATE = String.raw`(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))|${LEAP_YEAR}-02-29)`;
const TIME = String.raw`(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)`;
const BYTE = String.raw`(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`;
const IPV4 = String.raw`(?:${BYTE}\.){3}${BYTE}`;
const GROUP = '[0-9a-f]{1,4}';
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const HOSTNAME = String.raw`${LABEL}(?:\.${LABEL}){0,3}`;
const UNRESERVED = String.raw`(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})`;
const QUERY = String.raw`(?:\?(?:${UNRESERVED}|[/?])*)?(?:#(?:${UNRESERVED}|[/?])*)?`;

/** `::` in each place it can have, with at least two groups left out. */
const IPV6 = [
  `(?:${GROUP}:){7}${GROUP}`,
  ...Array.from({ length: 7 }, (_, before) => {
    const left = before === 0 ? '' : `${GROUP}(?::${GROUP}){${before - 1}}`;
    const right = before === 6 ? '' : `(?:${GROUP}(?::${GROUP}){0,${5 - before}})?`;
    return `${left}::${right}`;
  }),
].join('|');

export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: TIME,
  'date-time': `${DATE}T${TIME}`,
  duration: String.raw`P(?:\d{1,9}W|(?:\d{1,9}Y(?:\d{1,9}M(?:\d{1,9}D)?)?|\d{1,9}M(?:\d{1,9}D)?|\d{1,9}D)(?:T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S))?|T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S))`,
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}',
  email: String.raw`[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}`,
  hostname: HOSTNAME,
  ipv4: IPV4,
  ipv6: IPV6,
  uri: String.raw`[a-z][a-z0-9+.-]*:(?://${HOSTNAME}(?::\d{1,4})?(?:/${UNRESERVED}*)*|${UNRESERVED}+(?:/${UNRESERVED}*)*)${QUERY}`,
  'uri-reference': String.raw`(?:/${UNRESERVED}+)*/?${QUERY}`,
  'json-pointer': '(?:/(?:[^~/]|~[01])*)*',
};

/** Formats that say nothing about a string's characters, or belong to numbers and are bounds there. */
export const IGNORED_FORMATS: ReadonlySet<string> = new Set(['password', 'float', 'double']);

/** OpenAPI's integer formats, as bounds. */
export const INTEGER_FORMATS: Readonly<Record<string, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};
