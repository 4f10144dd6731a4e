/** Text as it settles, for readers that can only append: never half a character, never the beginning of a stop word. */
import { createStreamDecoder } from '../text/stream.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { SettledToken } from './engine-types.ts';
import type { DecodeEvent } from './events.ts';

export interface TextDelta {
  text: string;
  tokens: SettledToken[];
}

export interface TextStream {
  /** What can be told after this event; null when nothing new can. */
  push(event: DecodeEvent): TextDelta | null;
  /** The rest, once the text is known; null when all was told. */
  end(text: string): TextDelta | null;
}

/** The texts of all deltas, joined, are the text that `end` is given. */
export function createTextStream(
  tokenizer: Tokenizer,
  stop: readonly string[],
  { logprobs = false }: { logprobs?: boolean | undefined } = {},
): TextStream {
  const decoder = createStreamDecoder(tokenizer);
  const probabilities = new Map<number, number>();
  let text = '';
  let told = 0;
  /** Settled and not told, each with where its text ends. */
  let tokens: (SettledToken & { end: number })[] = [];

  const tell = (end: number, isLast: boolean): TextDelta | null => {
    const own = tokens.filter((token) => (isLast ? token.end - token.text.length < end : token.end <= end));
    if (end <= told && own.length === 0) return null;
    tokens = isLast ? [] : tokens.filter((token) => token.end > end);
    const delta = {
      text: text.slice(told, end),
      tokens: own.map(({ text, bytes, logprob }) => ({ text, bytes, logprob })),
    };
    told = Math.max(told, end);
    return delta;
  };

  return {
    push(event) {
      if (event.type === 'commit' && logprobs) {
        for (const { position, probability } of event.tokens) probabilities.set(position, probability);
      }
      if (event.type !== 'block') return null;
      for (const [i, id] of event.ids.entries()) {
        text += decoder.push([id]);
        if (!logprobs) continue;
        const bytes = Array.from(tokenizer.bytes(id));
        const probability = probabilities.get(event.start + i) ?? 1;
        const logprob = Math.log(Math.max(probability, Number.MIN_VALUE));
        tokens.push({ text: tokenizer.decode([id]), bytes, logprob, end: text.length });
      }
      return tell(safeEnd(text, stop), false);
    },
    end(final) {
      text = final;
      return tell(final.length, true);
    },
  };
}

/** How much of a text can be told, whatever follows: up to the first stop word, or what may become one. */
function safeEnd(text: string, stop: readonly string[]): number {
  let end = text.length;
  for (const word of stop) {
    const at = text.indexOf(word);
    if (at >= 0) end = Math.min(end, at);
    for (let length = Math.min(word.length - 1, text.length); length > 0; length--) {
      if (!text.endsWith(word.slice(0, length))) continue;
      end = Math.min(end, text.length - length);
      break;
    }
  }
  // Half a surrogate pair is no text either.
  return end > 0 && /[\uD800-\uDBFF]/.test(text[end - 1]) ? end - 1 : end;
}
