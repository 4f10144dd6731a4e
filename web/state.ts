/** What the whole page shares, and what of it the browser remembers. */
import { effect, signal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import type { ModelInfo, RunSource } from './runs/run.ts';

/** A signal whose value outlives the tab; one that cannot be read again is as if it was never there. */
export function remembered<T>(name: string, initial: T): Signal<T> {
  const place = `tintype.${name}`;
  const read = (): T => {
    try {
      const text = localStorage.getItem(place);
      return text === null ? initial : (JSON.parse(text) as T);
    } catch {
      return initial;
    }
  };
  const value = signal(read());
  effect(() => {
    const text = JSON.stringify(value.value);
    try {
      localStorage.setItem(place, text);
    } catch {
      // A full or forbidden store: the page works without.
    }
  });
  return value;
}

/** `locked`: it wants a key. */
export type ServerState = 'unknown' | 'ready' | 'loading' | 'away' | 'locked';
export const serverState = signal<ServerState>('unknown');

/** Sent with everything that is asked of the server; empty where it is open. */
export const apiKey = remembered('key', '');

/** `system` follows the machine. */
export const theme = remembered<'system' | 'light' | 'dark'>('theme', 'system');
effect(() => {
  const { dataset } = document.documentElement;
  if (theme.value === 'system') delete dataset.theme;
  else dataset.theme = theme.value;
});

/** Built without a server (`npm run build:static`): models run in the tab, always. */
export const isStatic: boolean = import.meta.env.MODE === 'static';

/** Where the person wants runs to be computed. */
export const where = isStatic
  ? signal<'server' | 'tab'>('tab')
  : remembered<'server' | 'tab'>('where', 'server');

/** Where runs are computed. */
export const source = signal<RunSource | null>(null);
export const models = signal<ModelInfo[]>([]);

/** A short sentence for everybody, screen readers included. */
export const notice = signal('');

/** Whether things should stand still. */
export const prefersStill = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;
