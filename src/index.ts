/** The public API of tintype. */
export { TintypeError, type ErrorCode, type ErrorParts } from './errors.ts';
export { createRng, restoreRng, type Rng } from './rng.ts';
export {
  LAYOUTS,
  parameterCount,
  parameterShapes,
  type Layout,
  type ModelConfig,
  type ParameterShape,
  type SpecialTokens,
} from './model/config.ts';
export type {
  AttentionPattern,
  Denoiser,
  ForwardRun,
  KvCache,
  Statistics,
  StatisticsRequest,
} from './model/denoiser.ts';
export { SPECIAL_TOKENS, type SpecialToken, type Tokenizer } from './text/tokenizer.ts';
export { loadDenoiser, type LoadedModel } from './model/load.ts';
