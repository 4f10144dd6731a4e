/** What the page does before anything is clicked: finds out who answers, and which models there are. */
import { effect } from '@preact/signals';
import { serverSource, watchServer } from './runs/server.ts';
import { models, serverState, source } from './state.ts';

export function begin(): void {
  source.value = serverSource;
  void watchServer();
  effect(() => {
    if (serverState.value === 'ready') void listModels();
  });
}

export async function listModels(): Promise<void> {
  try {
    models.value = (await source.value?.models()) ?? [];
  } catch {
    // The state of the server says why; it is asked again when it is back.
  }
}
