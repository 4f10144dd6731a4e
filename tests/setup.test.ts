/** The scripts behind `npm start` and `npm test`: what counts as ready. */
import { describe, expect, it } from 'vitest';
import { dependenciesAreCurrent, isSupported } from '../scripts/setup.mjs';

describe('isSupported', () => {
  it.each(['20.19.0', '20.20.2', '22.0.0', '26.1.0'])('takes Node %s', (version) => {
    expect(isSupported(version)).toBe(true);
  });
  it.each(['20.18.3', '18.20.0', '9.99.9'])('refuses Node %s', (version) => {
    expect(isSupported(version)).toBe(false);
  });
});

describe('dependenciesAreCurrent', () => {
  const entry = { version: '1.0.0', integrity: 'sha512-a' };
  const lock = (packages: Record<string, object>) => ({ packages: { '': { name: 'tintype' }, ...packages } });

  it('is false before the first install and after an interrupted one', () => {
    expect(dependenciesAreCurrent(lock({ 'node_modules/a': entry }), null)).toBe(false);
  });

  it('is true when all is there, and what belongs to other platforms is not', () => {
    const wanted = lock({ 'node_modules/a': entry, 'node_modules/a-win32': { ...entry, optional: true } });
    expect(dependenciesAreCurrent(wanted, lock({ 'node_modules/a': entry }))).toBe(true);
  });

  it.each([
    ['a package is missing', {}],
    ['a version changed', { 'node_modules/a': { ...entry, version: '1.0.1' } }],
    ['the bytes changed', { 'node_modules/a': { ...entry, integrity: 'sha512-b' } }],
  ])('is false when %s', (_, installed) => {
    expect(dependenciesAreCurrent(lock({ 'node_modules/a': entry }), lock(installed))).toBe(false);
  });
});
