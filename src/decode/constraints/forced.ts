/**
 * What a state leaves no choice about. While only one byte can follow, the text is certain; it is cut as the tokenizer
 * cuts text, since that is what the model has read in training. Another cut may be possible, and the last token might
 * have gone on into what is free; that choice is taken from the model, never the text.
 */
import { ENDED } from './tokens.ts';
import type { TokenAutomaton } from './tokens.ts';

/** Bytes of certain text looked ahead; the rest follows when these are written. */
const MOST_BYTES = 4096;

/** Tokens of the text that must come next; the end-of-text token where nothing else can. */
export function forcedTokens(automaton: TokenAutomaton, state: number): readonly number[] {
  const { language, tokenizer, ends } = automaton;
  const bytes: number[] = [];
  let at = state;
  for (
    let byte = language.onlyByte(at);
    byte >= 0 && bytes.length < MOST_BYTES;
    byte = language.onlyByte(at)
  ) {
    bytes.push(byte);
    at = language.next(at, byte);
  }
  if (bytes.length === 0) {
    const { targets } = automaton.edges(state);
    return targets.length === 1 && targets[0] === ENDED ? ends.slice(0, 1) : [];
  }
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes), { stream: true });
  const tokens = tokenizer.encode(text);
  const written = tokens.flatMap((token) => [...tokenizer.bytes(token)]);
  // A tokenizer that normalises or lacks a character would write another text.
  return written.every((byte, i) => byte === bytes[i]) ? tokens : [];
}
