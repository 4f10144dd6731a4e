/** What the page does before anything is clicked: finds out who answers, and which models there are. */
import { computed, effect } from '@preact/signals';
import { serverSource, watchServer } from './runs/server.ts';
import { isStatic, models, notice, serverState, source, where } from './state.ts';
import { tabState } from './tab/state.ts';

export function begin(): void {
  if (!isStatic) void watchServer();
  effect(() => {
    if (where.value === 'tab') void useTab();
    else source.value = serverSource;
  });
  const tabIsReady = computed(() => tabState.value.phase === 'ready');
  effect(() => {
    const isTab = source.value?.kind === 'tab';
    // Once more when a tab that could not start was started anew.
    const isReady = isTab
      ? tabIsReady.value || tabState.peek().phase === 'off'
      : serverState.value === 'ready';
    if (isReady) void listModels();
  });
}

/** What runs models in the tab is fetched when it is first wanted. */
async function useTab(): Promise<void> {
  try {
    const { tabSource } = await import('./tab/source.ts');
    if (where.value === 'tab') source.value = tabSource;
  } catch (error) {
    notice.value = `What runs models in this tab could not be fetched: ${String(error)}`;
  }
}

export async function listModels(): Promise<void> {
  const asked = source.value;
  try {
    const listed = (await asked?.models()) ?? [];
    if (source.value === asked) models.value = listed;
  } catch {
    // The state of the source says why; it is asked again when it is back.
  }
}
