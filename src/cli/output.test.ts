import { stripVTControlCharacters as plain } from 'node:util';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { TintypeError } from '../errors.ts';
import { describeError, formatFields, formatTable } from './output.ts';

describe('formatTable', () => {
  it('aligns words left and numbers right, and shows a dash for nothing', () => {
    const table = formatTable(
      ['name', 'parameters', 'bits'],
      [
        ['tintype-code', 6_000_000, 1.23],
        ['x', 10, null],
      ],
    );
    expect(plain(table).split('\n')).toEqual([
      'name          parameters  bits',
      'tintype-code     6000000  1.23',
      'x                     10     -',
    ]);
  });
});

describe('formatFields', () => {
  it('leaves out what is undefined', () => {
    expect(plain(formatFields({ layout: 'full', mask: null, dtype: undefined }))).toBe(
      'layout  full\nmask    -',
    );
  });
});

describe('describeError', () => {
  const error = new TintypeError('bad_option', {
    what: 'no such thing',
    got: '3',
    wanted: '4',
    next: 'try 4',
  });

  it('prints every part of a known error, with its status', () => {
    const { text, status } = describeError(error);
    expect(plain(text)).toBe('error: no such thing\n  got:    3\n  wanted: 4\n  try:    try 4');
    expect(status).toBe(2);
  });

  it('prints JSON for programs', () => {
    expect(JSON.parse(describeError(error, { json: true }).text)).toEqual({
      error: { code: 'bad_option', what: 'no such thing', got: '3', wanted: '4', next: 'try 4' },
    });
    expect(JSON.parse(describeError(new Error('oops'), { json: true }).text)).toEqual({
      error: { code: 'internal', what: 'oops' },
    });
  });

  it('gives usage errors status 2 and an interruption 130', () => {
    const usage = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--x'");
    expect(describeError(usage)).toMatchObject({ status: 2 });
    expect(plain(describeError(usage).text)).toContain("error: unknown option '--x'\n  try:");
    expect(describeError(new DOMException('This operation was aborted', 'AbortError')).status).toBe(130);
  });

  it('hides the stack of an unknown error unless asked', () => {
    const { text, status } = describeError(new RangeError('odd'));
    expect(plain(text)).toBe('error: odd (TINTYPE_DEBUG=1 shows where)');
    expect(status).toBe(1);
    expect(describeError(new RangeError('odd'), { debug: true }).text).toContain('output.test.ts');
  });
});
