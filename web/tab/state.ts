/** How the model in the tab is doing, for whoever shows it. */
import { computed, signal } from '@preact/signals';
import { remembered } from '../state.ts';
import { computeText } from './messages.ts';
import type { Compute, WantedDevice } from './messages.ts';

export type TabState =
  | { phase: 'off' }
  | { phase: 'opening' }
  | { phase: 'ready'; compute: Compute }
  | { phase: 'failed'; message: string };

export const tabState = signal<TabState>({ phase: 'off' });
/** Of weights that are on their way, null when none are. */
export const download = signal<{ what: string; doneBytes: number; totalBytes: number } | null>(null);
export const device = remembered<WantedDevice>('device', 'auto');

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** One line for the head of the page. */
export const tabText = computed((): string => {
  const [state, loading] = [tabState.value, download.value];
  if (loading) return `Loading ${megabytes(loading.doneBytes)} of ${megabytes(loading.totalBytes)} …`;
  switch (state.phase) {
    case 'off':
    case 'opening':
      return 'Starting in this tab …';
    case 'ready':
      return computeText(state.compute);
    case 'failed':
      return 'This tab cannot run models';
  }
});
