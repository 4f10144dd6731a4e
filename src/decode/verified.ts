/**
 * Verification by another model: one drafts, and an autoregressive one with the same vocabulary says what it would have
 * written. The result is the verifier's, token for token; the drafter decides how fast. Two forwards a step, one of each.
 */
import { TintypeError } from '../errors.ts';
import type { Denoiser, StatisticsRequest } from '../model/denoiser.ts';
import { joinStatistics } from '../model/statistics-rows.ts';
import { branchQuery, type Context } from './context.ts';

/** Throws `bad_option` for a pair that cannot work together. */
export function checkVerifier(drafter: Denoiser, verifier: Denoiser): void {
  const wrong =
    drafter.config.layout !== 'causalContext' || !['causal', 'causalContext'].includes(verifier.config.layout)
      ? `a drafter with layout ${drafter.config.layout} and a verifier with layout ${verifier.config.layout}`
      : drafter.config.vocabSize !== verifier.config.vocabSize ||
          String(drafter.config.tokens.eos) !== String(verifier.config.tokens.eos)
        ? `vocabularies of ${drafter.config.vocabSize} and ${verifier.config.vocabSize} tokens`
        : null;
  if (wrong === null) return;
  throw new TintypeError('bad_option', {
    what: 'this model cannot verify what the other one drafts',
    got: wrong,
    wanted: 'a drafter over a causal context, and a causal verifier with the same vocabulary',
  });
}

/** Positions that a causal row predicts are the verifier's, the others the drafter's. */
export function createVerifiedContext(drafter: Context, verifier: Context, vocabSize: number): Context {
  return {
    get length() {
      return verifier.length;
    },
    async look(look, want) {
      const { query, contextEnd, branches = [] } = look;
      const beyond = query.findIndex((position) => position > contextEnd);
      const own = beyond === -1 ? query.length : beyond;
      const checked = await verifier.look(
        { ...look, query: query.slice(0, own), branches: [] },
        rowsOfRequest(want, 0, own, vocabSize),
      );
      const all = query.length + branches.flatMap(branchQuery).length;
      if (own === all) return checked;
      const drafted = await drafter.look(
        { ...look, query: query.slice(own) },
        rowsOfRequest(want, own, all, vocabSize),
      );
      return {
        statistics: joinStatistics([checked.statistics, drafted.statistics]),
        positions: checked.positions + drafted.positions,
        forwards: checked.forwards + drafted.forwards,
      };
    },
    truncate(length) {
      drafter.truncate(length);
      verifier.truncate(length);
    },
    release() {
      verifier.release();
      return drafter.release();
    },
  };
}

function rowsOfRequest(want: StatisticsRequest, from: number, to: number, V: number): StatisticsRequest {
  const { sample, logitBias } = want;
  return {
    ...want,
    sample: sample && { ...sample, uniforms: sample.uniforms.subarray(from, to) },
    logitBias: logitBias?.subarray(from * V, to * V),
  };
}
