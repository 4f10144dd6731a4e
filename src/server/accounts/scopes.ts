/** What a key must be allowed to do for a path. */
import type { Scope } from './types.ts';

/** `open`: no key is asked for. `any`: a key, whatever it may do. */
export type Need = Scope | 'open' | 'any';

/** The first that fits counts; anything else needs a key. */
const NEEDS: readonly (readonly [RegExp, Need])[] = [
  [/^\/page\/arena(\/|$)/, 'any'],
  [/^\/page\/runs(\/|$)/, 'admin'],
  [/^(\/v1)?\/health$|^\/docs$|^\/openapi\.json$|^\/(icon\.svg)?$|^\/(assets|page)\//, 'open'],
  [/^\/metrics$/, 'admin'],
  [/^\/v1\/(files|batches)(\/|$)/, 'batch'],
  [/^(\/v1)?\/chat\/completions$|^\/api\/chat$/, 'chat'],
  [
    /^(\/v1)?\/((fim|edit|apply)\/)?completions$|^(\/v1)?\/infill$|^\/v1\/trace$|^\/completion$|^\/api\/generate$/,
    'complete',
  ],
];

export const needOf = (path: string): Need => NEEDS.find(([pattern]) => pattern.test(path))?.[1] ?? 'any';

/** Whether requests to this path are counted in the ledger. */
export const isMetered = (path: string): boolean => ['chat', 'complete'].includes(needOf(path));
