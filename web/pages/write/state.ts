/** What the editor view shares between its parts. */
import { computed, effect, signal } from '@preact/signals';
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import type { ModelInfo, RunError } from '../../runs/run.ts';
import { models, remembered, serverState, source } from '../../state.ts';

export interface Settings {
  /** Complete while typing. */
  ghost: boolean;
  lines: 'one' | 'several';
  maxTokens: number;
  mode: Mode;
  /** Probability from which a mask is committed. */
  threshold: number;
  /** Show every forward long enough to be seen. */
  slow: boolean;
}

export const MODES = ['diffusion', 'verify', 'ar'] as const;
export type Mode = (typeof MODES)[number];

const DEFAULTS: Settings = {
  ghost: true,
  lines: 'one',
  maxTokens: 32,
  mode: 'diffusion',
  threshold: 0.9,
  slow: true,
};
export const settings = remembered('write.settings', DEFAULTS);
settings.value = { ...DEFAULTS, ...settings.value };

export const change = (part: Partial<Settings>): void => {
  settings.value = { ...settings.value, ...part };
};

/** What was counted while the last text was made. */
export interface Figures {
  what: string;
  tokens: number;
  forwards: number;
  /** From asking to the last line of the answer, by the page's clock. */
  elapsedMs: number;
}
export const figures = signal<Figures | null>(null);

/** What the person should know, of the last thing that went wrong. */
export const trouble = signal<string | null>(null);

/** Who writes. */
export interface Writer {
  model: string;
  contextLength: number;
  options: CompleteOptions;
}

/** Positions that are denoised together. */
const SHORT_WINDOW = 4;

const fills = ({ features }: ModelInfo): boolean => features.includes('fim');

/** The modes that the loaded models have. */
export const modes = computed<readonly Mode[]>(() => {
  const own = models.value.find((model) => fills(model) && model.layout !== 'causal');
  if (!own) return models.value.some(fills) ? ['ar'] : [];
  return MODES.filter((mode) => mode !== 'verify' || own.layout === 'causalContext');
});

/** The model and its options; null while there is none that fills gaps. Mode `ar` is the twin's where it is loaded. */
export const writer = computed<Writer | null>(() => {
  const able = models.value.filter(fills);
  const own = able.find(({ layout }) => layout !== 'causal') ?? able[0];
  if (!own) return null;
  const { threshold } = settings.value;
  const mode = modes.value.includes(settings.value.mode) ? settings.value.mode : modes.value[0];
  const as = (model: ModelInfo, options: CompleteOptions): Writer => ({
    model: model.id,
    contextLength: model.contextLength,
    options,
  });
  // Lines are short, and the end of a long window is drafted in vain: a forward of four rows takes less time.
  const window = own.layout === 'causalContext' ? { blockLength: SHORT_WINDOW } : {};
  if (mode !== 'ar') return as(own, { mode, threshold, ...window });
  const twin = able.find(({ id, layout }) => layout === 'causal' && id === `${own.id}-ar`);
  return as(twin ?? own, { mode: 'ar' });
});

const ready = computed(() =>
  serverState.value === 'ready' || source.value?.kind === 'tab' ? writer.value : null,
);

/** Resolves when there is something that can write; rejects when the signal is aborted. */
export async function whenReady(signal: AbortSignal): Promise<Writer> {
  signal.throwIfAborted();
  if (ready.value) return ready.value;
  let stop = (): void => {};
  try {
    return await new Promise<Writer>((resolve, reject) => {
      stop = effect(() => {
        if (ready.value) resolve(ready.value);
      });
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  } finally {
    stop();
  }
}

/** Whether the same request may well be answered a little later. */
export const isPassing = ({ code }: RunError): boolean =>
  ['offline', 'overloaded', 'rate_limit_reached', 'loading'].includes(code);
export const RETRY_MS = 500;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
