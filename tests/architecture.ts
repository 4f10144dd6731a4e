/**
 * The house rules as data, and the checks that hold them. The rooms are the folders of src/; an arrow from one
 * room to another is an import. Files directly in src/ are rooms of their own, named without `.ts`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/** Which rooms each room may import, besides itself and the ground floor. */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  rng: [],
  worker: [],
  text: [],
  diffusion: [],
  graph: ['worker'],
  model: ['graph', 'text', 'worker'],
  decode: ['graph', 'model', 'text', 'worker'],
  train: ['graph', 'model', 'text', 'diffusion', 'worker'],
  eval: ['graph', 'model', 'text', 'diffusion', 'decode', 'train', 'worker'],
  server: ['model', 'text', 'decode', 'worker'],
  providers: ['model', 'text', 'decode', 'server', 'worker'],
  cli: ['graph', 'model', 'text', 'diffusion', 'decode', 'train', 'eval', 'server', 'worker'],
  index: ['graph', 'model', 'text', 'diffusion', 'decode', 'train', 'eval', 'server', 'worker'],
};

/** What every room may import. */
export const GROUND: readonly string[] = ['errors', 'rng'];

/** Rooms that must also run in a browser, and the files in them that are about Node alone. */
export const BROWSER_ROOMS: readonly string[] = ['graph', 'diffusion', 'decode'];
export const NODE_FILES: readonly string[] = [
  'src/decode/constraints/compile-thread.ts',
  'src/decode/constraints/compile-worker.ts',
  'src/decode/engine-worker.ts',
  'src/graph/node.ts',
];

export const MOST_LINES = 400;

export interface SourceFile {
  /** From the repository root, with forward slashes: `src/graph/ops.ts`. */
  path: string;
  text: string;
}

/** One sentence a breach: which file, what it does, what is allowed. */
export type Violation = string;

export const isTest = (path: string): boolean => /\.test\.tsx?$/.test(path);

/** Every module specifier of a file: imports, re-exports, `import()` of a literal. */
export function importsOf(file: SourceFile): string[] {
  const { module, program } = parseSync(file.path, file.text);
  const dynamic = module.dynamicImports.map((each) =>
    file.text.slice(each.moduleRequest.start, each.moduleRequest.end),
  );
  const exported = program.body.flatMap((node) =>
    (node.type === 'ExportAllDeclaration' || node.type === 'ExportNamedDeclaration') && node.source
      ? [node.source.value]
      : [],
  );
  return [
    ...module.staticImports.map((each) => each.moduleRequest.value),
    ...exported,
    ...dynamic.filter((text) => /^['"`]/.test(text)).map((text) => text.slice(1, -1)),
  ];
}

/** The room of a path below src/, or null outside it. */
export function roomOf(path: string): string | null {
  const match = /^src\/([^/]+?)(?:\.tsx?)?(?:\/|$)/.exec(path);
  return match ? match[1] : null;
}

/** Imports against the arrows. Tests may reach one room further: they check rooms against each other. */
export function checkArrows(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const file of files.filter((each) => !isTest(each.path))) {
    const room = roomOf(file.path);
    if (room === null) continue;
    const allowed = ALLOWED[room];
    if (!allowed) {
      violations.push(`${file.path}: room "${room}" has no line in the table of tests/architecture.ts`);
      continue;
    }
    const ground = GROUND.includes(room) ? [] : GROUND;
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith('.')) continue;
      const target = roomOf(posix.join(posix.dirname(file.path), specifier));
      if (target === room || (target !== null && [...ground, ...allowed].includes(target))) continue;
      const may = [...ground, ...allowed].join(', ') || 'nothing';
      violations.push(`${file.path}: imports ${specifier}; ${room} may import ${may}`);
    }
  }
  return violations;
}

/** `node:` modules in rooms that must run in a browser. */
export function checkBrowserRooms(files: readonly SourceFile[], nodeFiles = NODE_FILES): Violation[] {
  return files
    .filter((file) => !isTest(file.path) && BROWSER_ROOMS.includes(roomOf(file.path) ?? ''))
    .filter((file) => !nodeFiles.includes(file.path))
    .flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('node:') || specifier === 'onnxruntime-node')
        .map(
          (specifier) =>
            `${file.path}: imports ${specifier}; only these may: ${nodeFiles.join(', ') || 'none'}`,
        ),
    );
}

/** Where code starts to run in a browser: the page, and the worker of its tab. */
export const BROWSER_ENTRIES: readonly string[] = ['web/main.tsx', 'web/tab/worker.ts'];

const NODE_ONLY = /^(node:|onnxruntime-node$|@hono\/node-server)/;

/** Specifiers that are still there when the types are gone. */
function loadedBy(file: SourceFile): string[] {
  const { program } = parseSync(file.path, file.text);
  const types = program.body.flatMap((node) => {
    const isType =
      (node.type === 'ImportDeclaration' &&
        (node.importKind === 'type' ||
          (node.specifiers.length > 0 &&
            node.specifiers.every(
              (each) => each.type === 'ImportSpecifier' && each.importKind === 'type',
            )))) ||
      ((node.type === 'ExportNamedDeclaration' || node.type === 'ExportAllDeclaration') &&
        node.exportKind === 'type');
    return isType && node.source ? [node.source.value] : [];
  });
  const loaded = importsOf(file);
  // A module may be imported for its types in one line and for its values in another.
  for (const specifier of types) loaded.splice(loaded.indexOf(specifier), 1);
  return loaded;
}

/** Everything that a browser loads from these entries on: what of it is there in Node only, and how it is reached. */
export function checkBrowserGraph(
  files: readonly SourceFile[],
  entries: readonly string[] = BROWSER_ENTRIES,
): { violations: Violation[]; reached: string[] } {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const chains = new Map(entries.map((entry) => [entry, [entry]]));
  const violations: Violation[] = [];
  for (const [path, chain] of chains) {
    const file = byPath.get(path);
    if (!file) {
      violations.push(`${chain.join(' -> ')}: there is no such file`);
      continue;
    }
    for (const specifier of loadedBy(file)) {
      if (NODE_ONLY.test(specifier)) violations.push(`${chain.join(' -> ')}: imports ${specifier}`);
      if (!specifier.startsWith('.') || !/\.tsx?$/.test(specifier)) continue;
      const target = posix.join(posix.dirname(path), specifier);
      if (!chains.has(target)) chains.set(target, [...chain, target]);
    }
  }
  return { violations, reached: [...chains.keys()] };
}

/** Files too long to hold in the head. */
export function checkLengths(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => !isTest(file.path))
    .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > MOST_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines; at most ${MOST_LINES}, so make it two rooms`);
}

/** Text that must not appear: randomness without a seed, and paths outside the repository. */
export function checkText(files: readonly SourceFile[]): Violation[] {
  const rules: { pattern: RegExp; where: RegExp; why: string }[] = [
    { pattern: /\bMath\.random\b/, where: /^src\//, why: 'take an Rng (src/rng.ts) as an argument' },
    { pattern: /(?:\.\.\/)+shared\//, where: /./, why: 'it lies outside the repository' },
  ];
  return files.flatMap((file) =>
    rules.flatMap(({ pattern, where, why }) => {
      const line = where.test(file.path) ? file.text.split('\n').findIndex((text) => pattern.test(text)) : -1;
      return line < 0 ? [] : [`${file.path}:${line + 1}: ${pattern.exec(file.text)![0]}; ${why}`];
    }),
  );
}

/** Every source file below some folders of the repository. */
export function readSources(root: string, folders: readonly string[], extensions: RegExp): SourceFile[] {
  const walk = (path: string): string[] =>
    readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) => {
      if (entry.name === 'node_modules') return [];
      const below = `${path}/${entry.name}`;
      return entry.isDirectory() ? walk(below) : extensions.test(entry.name) ? [below] : [];
    });
  return folders.flatMap(walk).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
}
