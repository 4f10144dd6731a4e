/** Text of tokens that arrive a few at a time, without ever splitting a character. */
import type { Tokenizer } from './tokenizer.ts';

export interface StreamDecoder {
  /** Text that is complete with these ids; bytes of an unfinished character wait for the next call. */
  push(ids: ArrayLike<number>): string;
  /** What is left when no more ids come: U+FFFD for an unfinished character, else nothing. */
  end(): string;
}

/** The texts of all pushes and the end, joined, equal `tokenizer.decode` of all ids. */
export function createStreamDecoder(tokenizer: Pick<Tokenizer, 'bytes'>): StreamDecoder {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push(ids) {
      let text = '';
      for (let i = 0; i < ids.length; i++) text += decoder.decode(tokenizer.bytes(ids[i]), { stream: true });
      return text;
    },
    end: () => decoder.decode(),
  };
}
