/** Gaps to fill; ◌ stands where the gap is. */
const written = [
  {
    name: 'A returned value',
    text: 'export function clamp(value: number, low: number, high: number): number {\n  return ◌;\n}\n',
  },
  {
    name: 'A loop',
    text: 'export function sum(values: number[]): number {\n  let total = 0;\n  for (◌) {\n    total += value;\n  }\n  return total;\n}\n',
  },
  {
    name: 'A field',
    text: 'export interface Options {\n  /** The name of the file. */\n  name: string;\n  /** The size in bytes. */\n  ◌\n}\n',
  },
  {
    name: 'A constructor',
    text: "import { EventEmitter } from 'events';\n\nexport class Queue<T> extends EventEmitter {\n  private items: T[] = [];\n\n  constructor(◌\n\n  push(item: T): void {\n    this.items.push(item);\n    this.emit('push', item);\n  }\n}\n",
  },
];

export const SAMPLES = written.map(({ name, text }) => {
  const [prefix, suffix] = text.split('◌');
  return { name, prefix, suffix };
});
