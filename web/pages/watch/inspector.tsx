/** One position at one step: what stands there, since when, and what the model thought. */
import { MASKED } from '../../../src/decode/canvas.ts';
import type { Vocabulary } from '../../runs/recording.ts';
import type { History } from './history.ts';
import { forwardName, percent, tokenWord } from './words.ts';

export interface InspectorProps {
  history: History;
  vocabulary: Vocabulary;
  at: number;
  index: number;
}

const MOST_BARS = 10;

export function Inspector({ history, vocabulary, at, index }: InspectorProps) {
  const moment = history.moments[at];
  const id = moment.ids[index];
  const seenAt = lastLook(history, at, index);
  const likely = seenAt === null ? null : history.candidate(seenAt, index);
  const word = (token: number): string => tokenWord(vocabulary, token);
  return (
    <section class="card inspector" aria-labelledby="inspector-title">
      <h2 id="inspector-title">
        Position {index}, {forwardName(at)}
      </h2>
      <dl class="facts">
        <div>
          <dt>Here stands</dt>
          <dd>{id === MASKED ? 'a mask' : <code>{word(id)}</code>}</dd>
        </div>
        <div>
          <dt>Committed</dt>
          <dd>{fateWords(history, at, index, word)}</dd>
        </div>
        <div>
          <dt>Entropy</dt>
          <dd>
            {likely
              ? `${likely.entropy.toFixed(3)} nats${seenAt === at ? '' : ` at forward ${seenAt}`}`
              : '–'}
          </dd>
        </div>
      </dl>
      {likely ? (
        <>
          <h3>
            What the model thought
            {seenAt === at ? '' : ` at forward ${seenAt}, the last that looked here`}
          </h3>
          <ol class="bars" aria-label="Most likely tokens">
            {likely.top.slice(0, MOST_BARS).map(({ id: token, probability }) => (
              <li key={token} data-chosen={token === likely.id ? '' : undefined}>
                <code>{word(token)}</code>
                <span class="bar-track" aria-hidden="true">
                  <span class="bar-fill" style={{ width: `${100 * probability}%` }} />
                </span>
                <span class="bar-value">{percent(probability)}</span>
                <span class="bar-mark">{token === likely.id ? '← its token' : ''}</span>
              </li>
            ))}
          </ol>
        </>
      ) : (
        <p class="soft">{unseenWords(history, at, index)}</p>
      )}
    </section>
  );
}

/** The newest forward that looked at a position. */
function lastLook(history: History, at: number, index: number): number | null {
  for (let place = at; place > 0; place--) if (history.candidate(place, index)) return place;
  return null;
}

function fateWords(history: History, at: number, index: number, word: (id: number) => string): string {
  if (history.isGiven(index)) return 'given, not written by the model';
  const past = history.fates(index).filter((fate) => fate.at <= at);
  const last = past.at(-1);
  if (!last) {
    const next = history.fates(index)[0];
    return next ? `not yet; ${commitWords(next.at, next.probability)}` : 'never';
  }
  const lost = past.filter(({ kind }) => kind === 'remask').length;
  const before = lost > 0 ? ` (masked again ${lost === 1 ? 'once' : `${lost} times`})` : '';
  if (last.kind === 'remask') return `masked again by forward ${last.at}, was ${word(last.id)}`;
  return `${commitWords(last.at, last.probability)}${before}`;
}

const commitWords = (at: number, probability: number): string =>
  at === 0 ? 'without a forward' : `by forward ${at} with ${percent(probability)}`;

function unseenWords(history: History, at: number, index: number): string {
  if (at === 0) return 'Nothing has been computed yet.';
  if (history.isGiven(index)) return 'Given tokens are not asked about.';
  const { look, step } = history.moments[at];
  if (!look) {
    return step?.kind === 'denoise' || step?.kind === 'prefill'
      ? 'This run was recorded without what the model thought.'
      : 'This forward only took text in.';
  }
  return 'No forward has looked here yet.';
}
