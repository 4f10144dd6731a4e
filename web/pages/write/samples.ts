/** The files that ship. Stretches between `/*[*\/` and `/*]*\/` are holes when one is opened. */
import type { Span } from './around.ts';

export interface Sample {
  name: string;
  text: string;
  holes: Span[];
}

const MARKS = /\/\*\[\*\/ | \/\*\]\*\//g;

function sample(name: string, marked: string): Sample {
  const ends: number[] = [];
  let removed = 0;
  for (const { index, 0: mark } of marked.matchAll(MARKS)) {
    ends.push(index - removed);
    removed += mark.length;
  }
  const holes = ends.flatMap((from, i) => (i % 2 === 0 ? [{ from, to: ends[i + 1] }] : []));
  return { name, text: marked.replaceAll(MARKS, ''), holes };
}

const files = import.meta.glob<string>('./samples/*.ts', { query: '?raw', import: 'default', eager: true });

export const SAMPLES: readonly Sample[] = ['queue.ts', 'basket.ts', 'text.ts'].map((name) =>
  sample(name, files[`./samples/${name}`]),
);
