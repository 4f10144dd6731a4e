/**
 * The public API of tintype.
 *
 *     import { completeText, loadDenoiser } from 'tintype';
 *
 *     const { denoiser, tokenizer } = await loadDenoiser('models/tintype-code');
 *     const gap = { prefix: 'const sum = a ', suffix: ';\n' };
 *     const { text } = await completeText({ denoiser, tokenizer: tokenizer! }, gap, { maxTokens: 16 });
 */
export { TintypeError, type ErrorCode, type ErrorParts } from './errors.ts';
export { createRng, restoreRng, type Rng } from './rng.ts';

export * from './model/config.ts';
export type * from './model/denoiser.ts';
export type { Overrides } from './model/config-json.ts';
export { loadDenoiser, type LoadDenoiserOptions, type LoadedModel } from './model/load.ts';
export { describeCheckpoint, type Description } from './model/hf.ts';

export { SPECIAL_TOKENS, type SpecialToken, type Tokenizer } from './text/tokenizer.ts';
export { loadTokenizer } from './text/load.ts';
export { fimPrompt, type FimFormat, type FimPrompt, type FimRequest } from './text/fim.ts';

export { appendCanvas, fixedCanvas, MASKED, type Canvas, type Span } from './decode/canvas.ts';
export { decode } from './decode/decode.ts';
export * from './decode/events.ts';
export type { DecodeOptions } from './decode/options.ts';
export type { Candidate, Choice, Likely, StepView, UnmaskPolicy } from './decode/policies/policy.ts';
export {
  namedPolicy,
  POLICIES,
  POLICY_PARAMETERS,
  type PolicyName,
  type PolicyParameter,
  type PolicyValues,
} from './decode/policies/index.ts';
export { confidenceThreshold } from './decode/policies/confidence-threshold.ts';
export { fixedSteps, type SurenessOrder } from './decode/policies/fixed-steps.ts';
export { random } from './decode/policies/random.ts';
export { factor } from './decode/policies/factor.ts';
export { entropyBound } from './decode/policies/entropy-bound.ts';
export { klass } from './decode/policies/klass.ts';
export { credit } from './decode/policies/credit.ts';
export { edit } from './decode/policies/edit.ts';
export { remdm, type RemaskRule } from './decode/policies/remdm.ts';
export { prophet } from './decode/policies/prophet.ts';
export {
  completeText,
  fillHoles,
  HOLE,
  infillText,
  streamCompletion,
  streamPrompt,
  type CompleteOptions,
  type Completion,
  type FilledHole,
  type Gap,
  type TextModel,
} from './decode/complete.ts';
export { createEngine, type EngineOptions } from './decode/engine.ts';
export type { CompletionEngine, CompletionReply, CompletionRequest } from './decode/engine-types.ts';
export { streamChat, type ChatStream } from './decode/chat.ts';
export { createChatFormat, type ChatFormat, type ChatFormatOptions, type ChatMessage } from './text/chat.ts';
export { chooseSampler, samplersFor, type SamplerChoice } from './decode/official/choose.ts';
export type { OfficialRun, Recipe } from './decode/official/recipe.ts';
export { SAMPLERS, type SamplerName } from './decode/official/samplers.ts';
export { planOfficial, type OfficialOptions } from './decode/official/plan.ts';
