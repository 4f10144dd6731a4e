/** How positions, tokens and forwards are called on this page. */
import { MASKED } from '../../../src/decode/canvas.ts';
import type { Vocabulary } from '../../runs/recording.ts';
import { HEAT, heatKind } from './history.ts';
import type { History } from './history.ts';

/** A token on one line, spaces and line ends seen. */
export function tokenWord(vocabulary: Vocabulary, id: number): string {
  const text = vocabulary.show(id).replaceAll('\n', '⏎').replaceAll('\t', '⇥').replaceAll(' ', '␣');
  return text === '' ? `#${id}` : text;
}

export const percent = (probability: number): string => {
  if (probability >= 0.9995) return probability >= 1 ? '100 %' : '> 99.9 %';
  if (probability < 0.001) return '< 0.1 %';
  return `${(100 * probability).toFixed(1)} %`;
};

export const forwardName = (at: number): string => (at === 0 ? 'before the first forward' : `forward ${at}`);

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;

const STATES = {
  [HEAT.unseen]: 'masked, not looked at',
  [HEAT.masked]: 'masked',
  [HEAT.fresh]: 'committed now',
  [HEAT.held]: 'committed before',
  [HEAT.settled]: 'settled',
  [HEAT.given]: 'given',
  [HEAT.remasked]: 'masked again',
} as const;

/** A cell of the heat map as a sentence. */
export function cellWords(history: History, vocabulary: Vocabulary, at: number, index: number): string {
  const moment = history.moments[at];
  const id = moment.ids[index];
  const state = STATES[heatKind(moment.heat[index])];
  const likely = history.candidate(at, index);
  const token =
    id !== MASKED
      ? `${tokenWord(vocabulary, id)}, `
      : likely
        ? `most likely ${tokenWord(vocabulary, likely.id)} with ${percent(likely.probability)}, `
        : '';
  const sure = id !== MASKED && !Number.isNaN(moment.probabilities[index]);
  const probability = sure ? `, ${percent(moment.probabilities[index])}` : '';
  return `Position ${index}, ${forwardName(at)}: ${token}${state}${probability}`;
}
