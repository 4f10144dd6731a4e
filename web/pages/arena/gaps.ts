/** Code with a gap, short enough to judge at a glance. */
export interface Gap {
  name: string;
  before: string;
  after: string;
}

export const GAPS: readonly Gap[] = [
  {
    name: 'sum of an array',
    before: 'export function sum(values: number[]): number {\n  let total = 0;\n  ',
    after: '\n  return total;\n}\n',
  },
  {
    name: 'read a JSON file',
    before:
      "import { readFile } from 'node:fs/promises';\n\nexport async function readJson(path: string): Promise<unknown> {\n  const text = ",
    after: ';\n  return JSON.parse(text);\n}\n',
  },
  {
    name: 'options with defaults',
    before:
      'export interface Options {\n  retries?: number;\n  timeout?: number;\n}\n\nexport function withDefaults(options: Options) {\n  return {\n    retries: ',
    after: ',\n    timeout: options.timeout ?? 1000,\n  };\n}\n',
  },
  {
    name: 'guard for an empty list',
    before: 'export function first<T>(items: T[]): T | undefined {\n  if (',
    after: ') {\n    return undefined;\n  }\n  return items[0];\n}\n',
  },
  {
    name: 'error class',
    before: 'export class NotFoundError extends Error {\n  constructor(name: string) {\n    ',
    after: '\n  }\n}\n',
  },
  {
    name: 'array of names',
    before:
      'interface User {\n  name: string;\n  age: number;\n}\n\nexport const names = (users: User[]) => ',
    after: ';\n',
  },
  {
    name: 'switch over a kind',
    before:
      "export function area(shape: Shape): number {\n  switch (shape.kind) {\n    case 'square':\n      return shape.side * shape.side;\n    case 'circle':\n      return ",
    after: ';\n  }\n}\n',
  },
];
