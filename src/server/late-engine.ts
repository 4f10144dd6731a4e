/** An engine that is still loading, for a server that already listens: health says 503 until it is there. */
import type { CompletionEngine } from '../decode/engine-types.ts';
import { TintypeError } from '../errors.ts';

export function lateEngine(loading: Promise<CompletionEngine>): CompletionEngine {
  let engine: CompletionEngine | null = null;
  loading.then(
    (loaded) => (engine = loaded),
    () => {},
  );
  const ready = (): CompletionEngine => {
    if (engine !== null) return engine;
    throw new TintypeError('overloaded', { what: 'the models are loading', next: 'ask again in a second' });
  };
  return {
    models: () => engine?.models() ?? [],
    statistics: () => engine?.statistics() ?? { running: 0, waiting: 0, cacheBytes: 0, cacheMaxBytes: 0 },
    stream: (request) => ready().stream(request),
    complete: (request) => ready().complete(request),
    close: async () => (await loading).close(),
  };
}
