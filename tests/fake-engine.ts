/** An engine for tests of the server: it answers from a function and remembers what it was asked. */
import type { CompletionEngine, CompletionReply, CompletionRequest } from '../src/decode/engine-types.ts';

export interface FakeEngine extends CompletionEngine {
  readonly asked: CompletionRequest[];
}

export function createFakeEngine(
  reply: (
    request: CompletionRequest,
  ) => Partial<CompletionReply> | Promise<Partial<CompletionReply>> = () => ({}),
): FakeEngine {
  const asked: CompletionRequest[] = [];
  return {
    asked,
    models: () => [
      { id: 'tintype-code', layout: 'causalContext', contextLength: 1024 },
      { id: 'tintype-code-ar', layout: 'causal', contextLength: 1024 },
    ],
    async complete(request) {
      asked.push(request);
      return {
        text: 'a + b;',
        finishReason: 'stop',
        promptTokens: 12,
        cachedTokens: 5,
        completionTokens: 4,
        nfe: 2,
        elapsedMs: 3.5,
        ...(await reply(request)),
      };
    },
    close: async () => {},
  };
}
