/** Holds the house rules of tests/architecture.ts over the repository, and shows that each check can fail. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ALLOWED,
  NODE_FILES,
  checkArrows,
  checkBrowserGraph,
  checkBrowserRooms,
  checkLengths,
  checkText,
  importsOf,
  readSources,
  type SourceFile,
} from './architecture.ts';

const root = join(import.meta.dirname, '..');
const present = (folders: string[]) => folders.filter((folder) => existsSync(join(root, folder)));
const sources = readSources(root, present(['src', 'web']), /\.tsx?$/);
const everything = readSources(
  root,
  present(['src', 'web', 'scripts', 'tests', 'examples']),
  /\.(tsx?|mjs|py)$/,
).filter((file) => !file.path.startsWith('tests/architecture'));

const file = (path: string, text: string): SourceFile => ({ path, text });

describe('the house', () => {
  it('has imports that follow the arrows', () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(checkArrows(sources)).toEqual([]);
  });

  it('keeps node: modules out of the rooms that a browser runs', () => {
    expect(checkBrowserRooms(sources)).toEqual([]);
  });

  it('loads nothing of Node in a browser, from the page or from the worker of its tab on', () => {
    const { violations, reached } = checkBrowserGraph(sources);
    expect(violations).toEqual([]);
    expect(reached).toContain('src/decode/decode.ts');
    expect(reached).toContain('src/model/transformer.ts');
    expect(reached).toContain('web/tab/source.ts');
  });

  it('lists as Node files only files that exist and need it', () => {
    const needed = sources
      .filter((file) => checkBrowserRooms([file], []).length > 0)
      .map((file) => file.path);
    expect([...NODE_FILES].sort()).toEqual(needed.sort());
  });

  it('has files short enough to read', () => {
    expect(checkLengths(sources)).toEqual([]);
  });

  it('draws no unseeded randomness and reads nothing outside the repository', () => {
    expect(checkText(everything)).toEqual([]);
  });
});

describe('the checks', () => {
  it('see every kind of import', () => {
    const text = `
      import a from './a.ts'; import type { B } from './b.ts'; import './c.ts';
      export * from './d.ts'; export { e } from './e.ts'; const f = await import('./f.ts');
      // import './comment.ts'
      const s = "import './string.ts'";`;
    expect(importsOf(file('src/cli/x.ts', text)).sort()).toEqual([
      './a.ts',
      './b.ts',
      './c.ts',
      './d.ts',
      './e.ts',
      './f.ts',
    ]);
  });

  it('name the file, the import and what is allowed when an arrow points the wrong way', () => {
    expect(checkArrows([file('src/text/bpe.ts', `import { x } from '../model/config.ts';`)])).toEqual([
      'src/text/bpe.ts: imports ../model/config.ts; text may import errors, rng',
    ]);
  });

  it.each([
    ['train', 'decode'],
    ['decode', 'train'],
    ['decode', 'cli'],
    ['server', 'cli'],
    ['eval', 'cli'],
    ['index', 'cli'],
    ['graph', 'model'],
    ['model', 'decode'],
    ['diffusion', 'text'],
  ])('refuse %s -> %s', (from, to) => {
    const path = from === 'index' ? 'src/index.ts' : `src/${from}/a/b.ts`;
    const specifier = from === 'index' ? `./${to}/x.ts` : `../../${to}/x.ts`;
    expect(checkArrows([file(path, `import '${specifier}';`)])).toHaveLength(1);
  });

  it.each([
    ['eval', 'decode'],
    ['decode', 'model'],
    ['train', 'diffusion'],
    ['graph', 'graph'],
  ])('accept %s -> %s', (from, to) => {
    expect(checkArrows([file(`src/${from}/a.ts`, `import '../${to}/x.ts'; import '../errors.ts';`)])).toEqual(
      [],
    );
  });

  it('refuse a path out of src and a room without a line in the table', () => {
    expect(checkArrows([file('src/model/a.ts', `import '../../tests/x.ts';`)])).toHaveLength(1);
    expect(checkArrows([file('src/attic/a.ts', '')])[0]).toContain('"attic" has no line');
  });

  it('hold a table without cycles', () => {
    const visit = (room: string, path: string[]): void => {
      expect(path).not.toContain(room);
      for (const next of ALLOWED[room] ?? []) visit(next, [...path, room]);
    };
    for (const room of Object.keys(ALLOWED)) visit(room, []);
  });

  it('refuse node: modules in a browser room, not in its tests', () => {
    const text = `import fs from 'node:fs';`;
    expect(checkBrowserRooms([file('src/decode/a.ts', text)])).toHaveLength(1);
    expect(checkBrowserRooms([file('src/decode/a.ts', text)], ['src/decode/a.ts'])).toEqual([]);
    expect(checkBrowserRooms([file('src/decode/a.test.ts', text), file('src/eval/a.ts', text)])).toEqual([]);
  });

  it('follow what a browser loads, types aside, and say how it comes to Node', () => {
    const files = [
      file('web/main.tsx', `import type { A } from './types.ts'; const x = await import('./a.ts');`),
      file('web/a.ts', `import { type B, b } from '../src/b.ts'; import { type C } from '../src/c.ts';`),
      file('web/types.ts', `import 'node:path';`),
      file('src/b.ts', `import type { D } from './d.ts'; export * from './d.ts';`),
      file('src/c.ts', `import 'node:path';`),
      file('src/d.ts', `import fs from 'node:fs';`),
    ];
    expect(checkBrowserGraph(files, ['web/main.tsx'])).toEqual({
      violations: ['web/main.tsx -> web/a.ts -> src/b.ts -> src/d.ts: imports node:fs'],
      reached: ['web/main.tsx', 'web/a.ts', 'src/b.ts', 'src/d.ts'],
    });
    expect(checkBrowserGraph([], ['web/main.tsx']).violations).toHaveLength(1);
  });

  it('refuse the line after the last one allowed', () => {
    expect(checkLengths([file('src/a.ts', 'x\n'.repeat(400)), file('src/b.ts', 'x\n'.repeat(401))])).toEqual([
      'src/b.ts: 401 lines; at most 400, so make it two rooms',
    ]);
  });

  it('refuse unseeded randomness and outside paths, with the line', () => {
    expect(checkText([file('src/a.ts', 'ok\nMath.random()')])[0]).toContain('src/a.ts:2: Math.random');
    expect(checkText([file('tests/a.ts', `read('../../shared/x')`)])).toHaveLength(1);
  });
});
