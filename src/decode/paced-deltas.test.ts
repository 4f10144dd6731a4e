import { describe, expect, it } from 'vitest';
import type { CompletionReply, EngineEvent } from './engine-types.ts';
import { pacedDeltas } from './paced-deltas.ts';

const reply: EngineEvent = { type: 'reply', reply: {} as CompletionReply };
const token = (text: string) => ({ text, bytes: [], logprob: 0 });

/** Letters at times, forwards of `stepMs`; what is told when, by time and text. */
function told(arrivals: readonly (readonly [ms: number, text: string])[], stepMs: number, pauseMs = 40) {
  const out: string[] = [];
  const events: EngineEvent[] = [];
  let nowMs = 0;
  const tell = pacedDeltas(
    (event) => {
      events.push(event);
      out.push(`${nowMs} ${event.type === 'delta' ? event.text : event.type}`);
    },
    { pauseMs, stepMs: () => stepMs, nowMs: () => nowMs },
  );
  for (const [i, [ms, text]] of arrivals.entries()) {
    nowMs = ms;
    const soFar = { promptTokens: 1, cachedTokens: 0, completionTokens: i + 1 };
    tell({ type: 'delta', text, tokens: [token(text)], soFar });
  }
  tell(reply);
  return { out, events };
}

describe('paced deltas', () => {
  it('tells the first at once, some as one when the next would come too late, the rest with the reply', () => {
    const arrivals = 'abcdefgh'.split('').map((text, i) => [1000 + i * 10, text] as const);
    expect(told(arrivals, 10).out).toEqual(['1000 a', '1030 bcd', '1060 efg', '1070 h', '1070 reply']);
  });

  it('holds nothing back where a forward takes longer than the pause, not even in one step', () => {
    const arrivals = [
      [0, 'a'],
      [50, 'b'],
      [50, 'c'],
    ] as const;
    expect(told(arrivals, 50).out).toEqual(['0 a', '50 b', '50 c', '50 reply']);
  });

  it('tells two where only the whole is wanted', () => {
    expect(
      told(
        'abc'.split('').map((text, i) => [i * 100, text] as const),
        100,
        Infinity,
      ).out,
    ).toEqual(['0 a', '200 bc', '200 reply']);
  });

  it('keeps every token, and the counts of the last', () => {
    const { events } = told(
      'abcd'.split('').map((text, i) => [i, text] as const),
      1,
    );
    const deltas = events.flatMap((event) => (event.type === 'delta' ? [event] : []));
    expect(deltas.flatMap(({ tokens }) => tokens)).toEqual('abcd'.split('').map(token));
    expect(deltas.at(-1)!.soFar).toMatchObject({ completionTokens: 4 });
  });
});
