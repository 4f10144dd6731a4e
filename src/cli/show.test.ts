import { describe, expect, it } from 'vitest';
import { cell, FRAME, frame, LAST, tokenizer } from '../../tests/frames.ts';
import { createFrameView, surroundings } from './show.ts';

const AROUND = { before: '', after: '' };

// Built from strings: the lint rule against control characters in patterns is right everywhere else.
const ESC = '\x1b';
const SEQUENCES = new RegExp(`${ESC}\\[(\\d*)([AJm])|\\r|\\n|[^${ESC}\\r\\n]+`, 'g');
const COLOURS = new RegExp(`${ESC}\\[(2|22|3[0-9]|39)m`, 'g');

/** A screen that keeps what it shows: knows line feeds, moves up and clearing downwards. */
function screen(columns: number, rows: number) {
  let lines: string[] = [''];
  let at = 0;
  return {
    isTTY: true,
    columns,
    rows,
    write(text: string) {
      for (const [part] of text.matchAll(SEQUENCES)) {
        if (part === '\n') at++;
        else if (part.endsWith('A') && part.startsWith('\x1b')) at -= Number(part.slice(2, -1));
        else if (part === '\x1b[J') lines = lines.slice(0, at);
        else if (!part.startsWith('\x1b') && part !== '\r') lines[at] = (lines[at] ?? '') + part;
        lines[at] ??= '';
      }
    },
    text: () => lines.join('\n'),
  };
}

describe('without a terminal', () => {
  it('each forward is a line that marks what is masked and what is fresh', () => {
    let out = '';
    const view = createFrameView({ write: (text) => (out += text) }, tokenizer, AROUND);
    view.draw(FRAME);
    view.draw(LAST);
    expect(out).toBe('  3 denoise    1 mask | a=[⏎]▒▒\n');
  });
});

describe('on a terminal', () => {
  it('the text is redrawn in place, with the lines around it', () => {
    const tty = screen(40, 20);
    const view = createFrameView(tty, tokenizer, { before: 'let ', after: ';' });
    view.draw(FRAME);
    expect(tty.text()).toBe('let a=⏎\n▒▒;\nforward 3 (denoise), 1 mask left, 12 ms\n');
    view.draw(LAST);
    expect(tty.text()).toBe('let a=;\n');
  });

  it('long lines are broken and high texts cut, so that nothing scrolls away from under the cursor', () => {
    const tty = screen(10, 5);
    const view = createFrameView(tty, tokenizer, AROUND);
    const long = Array.from({ length: 77 }, () => cell('a', 'settled'));
    view.draw(frame(...long));
    view.draw(frame(...long, cell('=', 'fresh')));
    expect(tty.text().split('\n').slice(0, 3)).toEqual(['a'.repeat(10), 'a'.repeat(10), `${'a'.repeat(7)}=`]);
    view.draw({ step: null, cells: long });
    expect(tty.text().match(/a/g)).toHaveLength(77);
  });

  it('the four states are drawn in four ways without colour', () => {
    let out = '';
    const view = createFrameView({ isTTY: true, write: (text) => (out += text) }, tokenizer, AROUND);
    view.draw(frame(cell('a', 'settled'), cell('a', 'held'), cell('a', 'fresh'), cell(null, 'masked')));
    const plain = out.replace(COLOURS, '');
    expect(plain).toContain('a\x1b[4ma\x1b[24m\x1b[7ma\x1b[27m▒▒');
  });

  it('a token cannot command the terminal', () => {
    let out = '';
    const view = createFrameView({ isTTY: true, write: (text) => (out += text) }, tokenizer, AROUND);
    view.draw({ step: null, cells: [cell('\x1b', 'settled')] });
    expect(out).toBe('\r\x1b[J·\n');
  });
});

describe('surroundings', () => {
  it('are the lines next to the gap', () => {
    expect(surroundings('1\n2\n3\n4\n5', '\n6\n7\n8')).toEqual({ before: '2\n3\n4\n5', after: '\n6\n7' });
    expect(surroundings('', null)).toEqual({ before: '', after: '' });
  });
});
