/** Where a text stops being JSON, and why: every browser says it in other words, some without a place. */
export interface JsonFault {
  /** From 1. */
  line: number;
  column: number;
  why: string;
}

/** Deeper than any schema that the server takes. */
const MOST_DEPTH = 200;

/** Null for JSON. */
export function jsonFault(text: string): JsonFault | null {
  let at = 0;
  const fail = (why: string): never => {
    throw new Fault(at, why);
  };
  const space = (): void => {
    while (/[ \t\n\r]/.test(text[at] ?? '')) at++;
  };
  const shown = (): string => (at >= text.length ? 'the end of the text' : JSON.stringify(text[at]));
  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found !== null;
  };

  function string(): void {
    at++;
    for (;;) {
      const letter = text[at];
      if (letter === undefined) fail('a string is not closed');
      if (letter < ' ') fail('a string goes over the end of a line; write \\n');
      if (letter === '"') break;
      if (letter === '\\' && !match(/\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/y)) fail('no such escape in a string');
      if (letter !== '\\') at++;
    }
    at++;
  }
  function list(close: string, item: () => void): void {
    at++;
    space();
    if (text[at] === close) {
      at++;
      return;
    }
    for (;;) {
      item();
      space();
      if (text[at] === close) break;
      if (text[at] !== ',') fail(`expected "," or "${close}", got ${shown()}`);
      at++;
      space();
      if (text[at] === close) fail(`a comma stands before "${close}"`);
    }
    at++;
  }
  function value(depth: number): void {
    space();
    if (depth > MOST_DEPTH) fail(`nested deeper than ${MOST_DEPTH} levels`);
    const letter = text[at];
    if (letter === '{') {
      list('}', () => {
        if (text[at] !== '"') fail(`expected a name in double quotes, got ${shown()}`);
        string();
        space();
        if (text[at] !== ':') fail(`expected ":" after a name, got ${shown()}`);
        at++;
        value(depth + 1);
      });
    } else if (letter === '[') list(']', () => value(depth + 1));
    else if (letter === '"') string();
    else if (!match(/-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null/y)) {
      fail(`expected a value, got ${shown()}`);
    }
  }
  try {
    value(0);
    space();
    if (at < text.length) fail(`expected nothing more, got ${shown()}`);
    return null;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, error.at).split('\n');
    return { line: before.length, column: before.at(-1)!.length + 1, why: error.message };
  }
}

class Fault extends Error {
  readonly at: number;
  constructor(at: number, why: string) {
    super(why);
    this.at = at;
  }
}
