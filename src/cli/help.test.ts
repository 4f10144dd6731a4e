import { describe, expect, it } from 'vitest';
import { reflow } from './help.ts';

describe('reflow', () => {
  it('fills paragraphs to the width, from wider and from narrower lines', () => {
    const text = 'one two three four\nfive\n\nsix seven';
    expect(reflow(text, 9)).toBe('one two\nthree\nfour five\n\nsix seven');
    expect(reflow(text, 80)).toBe('one two three four five\n\nsix seven');
  });

  it('leaves indented lines, a word that is too long and the last line end as they are', () => {
    const text = 'Examples:\n  tintype complete FILE   --show\n      and more\nhttp://127.0.0.1:8484\n';
    expect(reflow(text, 12)).toBe(text);
  });
});
