/** Chance from the browser. `crypto.randomUUID` is missing where the page comes over plain HTTP from another machine. */

/** 32 hexadecimal digits. */
export const randomId = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** 32 bits. */
export const randomSeed = (): number => crypto.getRandomValues(new Uint32Array(1))[0];
