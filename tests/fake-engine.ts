/** An engine for tests of the server: it answers from a function and remembers what it was asked. */
import type { CanvasFrame } from '../src/decode/canvas-frames.ts';
import { replyOf } from '../src/decode/engine-types.ts';
import type {
  CompletionEngine,
  CompletionReply,
  CompletionRequest,
  EngineEvent,
} from '../src/decode/engine-types.ts';

export interface FakeEngine extends CompletionEngine {
  readonly asked: CompletionRequest[];
}

const REPLY: CompletionReply = {
  text: 'a + b;',
  finishReason: 'stop',
  promptTokens: 12,
  cachedTokens: 5,
  completionTokens: 4,
  nfe: 2,
  elapsedMs: 3.5,
  prefillMs: 1.5,
  queuedMs: 0.25,
};

const frame = (text: string, progress: number): CanvasFrame => ({
  block: progress < 1 ? 0 : 1,
  step: progress < 1 ? 1 : 2,
  total: 8,
  progress,
  canvas: [
    { text, state: progress < 1 ? 'fresh' : 'settled', confidence: 0.5 },
    ...(progress < 1 ? [{ text: '', state: 'masked' as const, confidence: null }] : []),
  ],
});

/** `tintype-code` completes, `tintype-code-ar` too, `tintype-chat` can be talked to. Text settles in two pieces. */
export function createFakeEngine(
  reply: (
    request: CompletionRequest,
  ) => Partial<CompletionReply> | Promise<Partial<CompletionReply>> = () => ({}),
): FakeEngine {
  const asked: CompletionRequest[] = [];
  const served = (id: string, layout: string, chat: boolean) => ({
    id,
    layout,
    contextLength: 1024,
    chat,
    infill: !chat,
  });

  async function* stream(request: CompletionRequest): AsyncGenerator<EngineEvent, void, void> {
    asked.push(request);
    const whole = { ...REPLY, ...(await reply(request)) };
    const half = Math.floor(whole.text.length / 2);
    const pieces = [whole.text.slice(0, half), whole.text.slice(half)].filter((text) => text !== '');
    const { promptTokens, cachedTokens, completionTokens } = whole;
    for (const [index, text] of pieces.entries()) {
      if (request.frames) yield { type: 'frame', ...frame(whole.text.slice(0, half), 0.5) };
      const tokens = request.logprobs
        ? [{ text, bytes: [...new TextEncoder().encode(text)], logprob: Math.log(0.5) }]
        : [];
      const soFar = {
        promptTokens,
        cachedTokens,
        completionTokens: Math.floor((completionTokens * (index + 1)) / pieces.length),
      };
      yield { type: 'delta', text, tokens, soFar };
    }
    if (request.frames) yield { type: 'frame', ...frame(whole.text, 1) };
    yield { type: 'reply', reply: whole };
  }

  return {
    asked,
    models: () => [
      served('tintype-code', 'causalContext', false),
      served('tintype-code-ar', 'causal', false),
      served('tintype-chat', 'blockCausal', true),
    ],
    statistics: () => ({ running: 1, waiting: 2, cacheBytes: 10, cacheMaxBytes: 100 }),
    stream,
    complete: (request) => replyOf(stream(request)),
    close: async () => {},
  };
}
