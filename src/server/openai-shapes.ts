/** Answers in OpenAI's shapes, whole and in chunks. */
import type { CompletionReply, SettledToken } from '../decode/engine-types.ts';
import { canvasText } from '../decode/canvas-frames.ts';
import type { Totals } from './deps.ts';
import type { JobEvent } from './jobs.ts';
import type { Piece, PieceReader } from './tool-calls.ts';

export const usageOf = ({ promptTokens, cachedTokens, completionTokens }: Totals) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  reasoning_tokens: 0,
  cached_input_tokens: cachedTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens },
  completion_tokens_details: { reasoning_tokens: 0 },
});

/** Log-probabilities at the steps that committed the tokens: not those of a left-to-right model. */
export const chatLogprobs = (tokens: readonly SettledToken[]) => ({
  content: tokens.map(({ text, bytes, logprob }) => ({ token: text, logprob, bytes, top_logprobs: [] })),
  refusal: null,
});

export function textLogprobs(tokens: readonly SettledToken[], offset = 0) {
  let at = offset;
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: null,
    text_offset: tokens.map(({ text }) => (at += text.length) - text.length),
  };
}

/** How chunks of one route look. Each makes one item of `choices`, without `index`. */
export interface ChunkShape {
  base: { id: string; object: string; created: number; model: string };
  /** Before the first piece of a choice, if the route says something there. */
  open: object | null;
  piece: (piece: Piece, choice: number, tokens: SettledToken[] | null) => object;
  /** The whole canvas where `diffusing` is true. */
  canvas: (text: string) => object;
  finish: (reason: string) => object;
  reader: () => PieceReader;
}

export interface ChunkOptions {
  diffusing: boolean | 'frames' | null | undefined;
  includeUsage: boolean;
  logprobs: boolean;
  /** Notes the totals and returns them. */
  note: (replies: readonly CompletionReply[]) => Totals;
}

/** Chunks as objects, in order; the caller writes them and the end mark. */
export async function* chunksOf(
  events: AsyncIterable<JobEvent>,
  shape: ChunkShape,
  { diffusing, includeUsage, logprobs, note }: ChunkOptions,
): AsyncGenerator<object, void, void> {
  const { base } = shape;
  const usage = includeUsage ? { usage: null } : {};
  const chunk = (index: number, choice: object, more: object = {}): object => ({
    ...base,
    ...more,
    choices: [{ index, ...choice }],
    ...usage,
  });
  const readers = new Map<number, { reader: PieceReader; calls: boolean }>();
  const replies: CompletionReply[] = [];
  const wholeCanvas = diffusing === true;

  for await (const { choice, event } of events) {
    let state = readers.get(choice);
    if (!state) {
      readers.set(choice, (state = { reader: shape.reader(), calls: false }));
      if (shape.open) yield chunk(choice, shape.open);
    }
    if (event.type === 'frame') {
      const { block, step, total, progress, canvas } = event;
      yield wholeCanvas
        ? chunk(choice, shape.canvas(canvasText(event)), {
            diffusion_meta: { diffusion_content: true, diffusion_progress: progress },
          })
        : chunk(choice, shape.piece({ type: 'content', text: '' }, choice, null), {
            type: 'diffusion_frame',
            block,
            step,
            total,
            progress,
            canvas,
          });
      continue;
    }
    const pieces = event.type === 'delta' ? state.reader.push(event.text) : state.reader.end();
    state.calls ||= pieces.some(({ type }) => type === 'call');
    if (!wholeCanvas) {
      let tokens = event.type === 'delta' && logprobs ? event.tokens : null;
      if (tokens !== null && tokens.length > 0 && pieces.length === 0)
        pieces.push({ type: 'content', text: '' });
      for (const piece of pieces) {
        yield chunk(choice, shape.piece(piece, choice, tokens));
        tokens = null;
      }
    }
    if (event.type === 'reply') {
      replies.push(event.reply);
      yield chunk(choice, shape.finish(finishReason(event.reply.finishReason, state.calls)));
    }
  }
  const totals = note(replies);
  if (includeUsage) yield { ...base, choices: [], usage: usageOf(totals) };
}

export const finishReason = (reason: 'stop' | 'length', calls: boolean): string =>
  calls && reason === 'stop' ? 'tool_calls' : reason;
