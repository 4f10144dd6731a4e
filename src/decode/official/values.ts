/**
 * The parameters of published samplers, as data. Where this house has a name for the same thing in its own policies, the
 * name is the same; what it means exactly is the sampler's business (`samplers.ts`).
 */
import { TintypeError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { CacheMode } from '../context.ts';
import type { Order } from './policies.ts';

export interface OfficialValues {
  /** Positions to write: gen_length, max_new_tokens. */
  maxTokens: number;
  /** Forwards of the whole answer, or of a block: see the sampler. Null: as many as there are positions. */
  steps: number | null;
  /** Positions of a block; a longer one than the answer is one block. */
  blockLength: number;
  /** Above 1: no threshold, fixed counts decide. */
  threshold: number;
  /** Above 1: never. */
  editThreshold: number;
  /** Forwards that go on editing when no mask is left. */
  rounds: number;
  order: Order;
  cache: CacheMode;
  /** Positions of a block that are filled before the next of it. */
  subBlockLength: number;
  /** Nats. */
  entropyThreshold: number;
  /** A block joins when this share of the one before it is written. */
  activateAt: number;
  /** Nats that each position between the first mask and another adds to the other's entropy. */
  distancePenalty: number;
  /** Positions of a window that begins at the first mask. */
  windowLength: number;
  /** Classifier-free guidance; 0: none. */
  guidance: number;
  /** Ends as soon as the text before an end of text is complete. */
  earlyStop: boolean;
  /** Fewest positions a forward, where the sampler bounds its steps by it. */
  minCommit: number;
  /** The last time of the schedule. */
  eps: number;
  /** Best tokens among which a confidence is a probability; 0: all. */
  confidenceTopK: number;
  /** Nats that may be lost by drawing tokens independently. */
  gamma: number;
  /** Steps before the last one that must have had the same best tokens. */
  stableSteps: number;
  /** Nats under which the mean entropy of a block must be for it to end early. */
  meanEntropy: number;
  /** What logits are divided by in the first step of a block, and would be in the one after the last. */
  highTemperature: number;
  lowTemperature: number;
}

/** Of a parameter that a sampler does not read. */
export const UNREAD: OfficialValues = {
  maxTokens: 64,
  steps: null,
  blockLength: 32,
  threshold: 2,
  editThreshold: 2,
  rounds: 0,
  order: 'confidence',
  cache: 'none',
  subBlockLength: 8,
  entropyThreshold: 0,
  activateAt: 1,
  distancePenalty: 0,
  windowLength: 16,
  guidance: 0,
  earlyStop: false,
  minCommit: 1,
  eps: 1e-3,
  confidenceTopK: 0,
  gamma: 0.1,
  stableSteps: 1,
  meanEntropy: 0,
  highTemperature: 1,
  lowTemperature: 1,
};

type NumberOption = { type: 'number' | 'integer'; min: number; max: number; doc: string };
type FlagOption = { type: 'flag'; doc: string };

/** Parameters that only published samplers have; the options schema and the command line are made from this table. */
export const SAMPLER_PARAMETERS = {
  subBlockLength: {
    type: 'integer',
    min: 1,
    max: 65_536,
    doc: 'positions of a block that are filled before its next',
  },
  entropyThreshold: { type: 'number', min: 0, max: 64, doc: 'nats under which a mask is committed' },
  distancePenalty: {
    type: 'number',
    min: 0,
    max: 64,
    doc: 'nats of entropy added for each position behind the first mask',
  },
  windowLength: { type: 'integer', min: 1, max: 65_536, doc: 'positions of a window from the first mask on' },
  guidance: {
    type: 'number',
    min: 0,
    max: 64,
    doc: 'scale of classifier-free guidance; two forwards a step',
  },
  minCommit: { type: 'integer', min: 1, max: 65_536, doc: 'fewest tokens a forward' },
  eps: { type: 'number', min: 1e-6, max: 0.5, doc: 'last time of the schedule' },
  confidenceTopK: {
    type: 'integer',
    min: 0,
    max: 63,
    doc: 'best tokens among which a probability counts; 0: all',
  },
  stableSteps: {
    type: 'integer',
    min: 0,
    max: 64,
    doc: 'steps with the same best tokens before a block may end early',
  },
  meanEntropy: { type: 'number', min: 0, max: 64, doc: 'nats under which a block may end early, on average' },
  highTemperature: { type: 'number', min: 0.01, max: 10, doc: 'divides logits in the first step of a block' },
  lowTemperature: {
    type: 'number',
    min: 0.01,
    max: 10,
    doc: 'is what that falls to over the steps of a block',
  },
  earlyStop: { type: 'flag', doc: 'end as soon as the text before an end of text is complete' },
} as const satisfies Record<string, NumberOption | FlagOption>;

/** What a sampler is planned for. */
export interface Request {
  config: ModelConfig;
  prompt: readonly number[];
  values: OfficialValues;
  /** Tokens that end the text; the model's by default. */
  eos: readonly number[];
  /** Pads a prompt, and takes part in nothing (A2D); the model's by default. */
  padId: number | null;
}

/** Throws `bad_option` as the official code asserts. */
export function mustDivide(whole: number, part: number, what: string): void {
  if (part > 0 && whole % part === 0) return;
  throw new TintypeError('bad_option', {
    what: `${what}: this sampler takes only whole shares`,
    got: `${whole} / ${part}`,
    wanted: 'a whole number',
    next: 'choose maxTokens, blockLength and steps so that they divide, or leave steps out',
  });
}

/** Position of the first of these tokens in [start, end), or −1. */
export function firstOf(
  tokens: readonly number[],
  ids: ArrayLike<number>,
  start: number,
  end: number = ids.length,
): number {
  for (let p = start; p < end; p++) if (tokens.includes(ids[p])) return p;
  return -1;
}
