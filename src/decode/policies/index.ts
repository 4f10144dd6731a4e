/**
 * Every policy by name, with its parameters as data: the options schema, the command line's help and the docs are
 * made from this table. Parameters are options, so one name means one thing in all policies, and its default may
 * differ from policy to policy.
 */
import { confidenceThreshold } from './confidence-threshold.ts';
import { credit } from './credit.ts';
import { edit } from './edit.ts';
import { entropyBound } from './entropy-bound.ts';
import { factor } from './factor.ts';
import { fixedSteps } from './fixed-steps.ts';
import { klass } from './klass.ts';
import type { UnmaskPolicy } from './policy.ts';
import { prophet } from './prophet.ts';
import { random } from './random.ts';
import { remdm } from './remdm.ts';

/** A parameter that is a number; `integer` ones are whole. */
interface NumberParameter {
  type: 'number' | 'integer';
  min: number;
  max: number;
  /** What it is. */
  doc: string;
}

interface ChoiceParameter {
  type: 'choice';
  values: readonly [string, ...string[]];
  doc: string;
}

export type PolicyParameter = NumberParameter | ChoiceParameter;

const number = (min: number, max: number, doc: string) => ({ type: 'number', min, max, doc }) as const;
const integer = (min: number, max: number, doc: string) => ({ type: 'integer', min, max, doc }) as const;
const choice = <const V extends readonly [string, ...string[]]>(values: V, doc: string) =>
  ({ type: 'choice', values, doc }) as const;

/** Policies that `prophet` may end early. */
const ENDABLE = [
  'fixedSteps',
  'random',
  'confidenceThreshold',
  'factor',
  'entropyBound',
  'klass',
  'credit',
] as const;

export const POLICY_PARAMETERS = {
  threshold: number(0, 2, 'probability from which a mask is committed; above 1 it is one token a step'),
  steps: integer(1, 65_536, 'forwards a block; as many as a block has positions by default'),
  order: choice(['confidence', 'margin', 'entropy'], 'what counts as sure'),
  factor: number(0, 64, 'trust in positions being independent: 1 is what is proven'),
  gamma: number(0, 64, 'nats that may be lost by drawing tokens independently'),
  kl: number(0, 64, 'nats under which a distribution counts as unmoved since the last step'),
  history: integer(1, 64, 'steps in a row for which a distribution must be unmoved'),
  decay: number(0, 1, 'share of its credit that a token keeps from step to step'),
  exponent: number(0, 4, 'power of its probability that a leading token earns'),
  weight: number(0, 4, 'how far credit raises a logit'),
  editThreshold: number(
    0,
    2,
    'probability above which another token replaces a committed one; above 1: never',
  ),
  rounds: integer(0, 64, 'forwards that go on editing when no mask is left'),
  remask: choice(['cap', 'rescale', 'confidence'], 'how likely a committed token is masked again'),
  eta: number(
    0,
    1,
    'probability of remasking: at most this (cap), or this share of the most possible (rescale)',
  ),
  inner: choice(ENDABLE, 'the policy that may be ended early'),
} satisfies Record<string, PolicyParameter>;

type ParameterName = keyof typeof POLICY_PARAMETERS;
type ValueOf<P> = P extends { values: readonly (infer V)[] } ? V : number;

/** Values of all parameters; those of other policies are ignored. */
export type PolicyValues = { [N in ParameterName]: ValueOf<(typeof POLICY_PARAMETERS)[N]> };

interface PolicyEntry {
  /** One line: what it commits. */
  doc: string;
  /** Its parameters with their defaults; null for `steps`: the length of a block. */
  defaults: { readonly [N in ParameterName]?: PolicyValues[N] | null };
  make: (values: PolicyValues) => UnmaskPolicy;
}

export const POLICIES = {
  confidenceThreshold: {
    doc: 'all masks whose token is at least this probable (Fast-dLLM)',
    defaults: { threshold: 0.9 },
    make: ({ threshold }) => confidenceThreshold(threshold),
  },
  fixedSteps: {
    doc: 'an equal share of the block at each of a fixed number of forwards, the surest first (LLaDA, Dream)',
    defaults: { steps: null, order: 'confidence' },
    make: ({ steps, order }) => fixedSteps(steps, order),
  },
  random: {
    doc: 'the same in random order (MDLM)',
    defaults: { steps: null },
    make: ({ steps }) => random(steps),
  },
  factor: {
    doc: 'the n surest masks while the n-th is surer than 1 - factor/(n + 1) (Fast-dLLM)',
    defaults: { factor: 1 },
    make: (values) => factor(values.factor),
  },
  entropyBound: {
    doc: 'the surest masks while their entropies without the largest sum to at most gamma (EB-Sampler)',
    defaults: { gamma: 0.1 },
    make: ({ gamma }) => entropyBound(gamma),
  },
  klass: {
    doc: 'masks that are sure and whose distribution has stopped moving (KLASS)',
    defaults: { threshold: 0.9, kl: 0.01, history: 2 },
    make: ({ threshold, kl, history }) => klass(threshold, kl, history),
  },
  credit: {
    doc: 'masks that are sure once tokens that kept leading have been given credit (CreditDecoding)',
    defaults: { threshold: 0.9, decay: 0.8, exponent: 0.2, weight: 0.7 },
    make: ({ threshold, decay, exponent, weight }) => credit(threshold, decay, exponent, weight),
  },
  edit: {
    doc: 'sure masks, and committed tokens that the model would now replace (LLaDA2.1)',
    defaults: { threshold: 0.7, editThreshold: 0.5, rounds: 16 },
    make: ({ threshold, editThreshold, rounds }) => edit(threshold, editThreshold, rounds),
  },
  remdm: {
    doc: 'an equal share at each forward, while some tokens are masked again and get a second chance (ReMDM)',
    defaults: { steps: null, remask: 'cap', eta: 0.02 },
    make: ({ steps, remask, eta }) => remdm(steps, remask, eta),
  },
  prophet: {
    doc: 'what `inner` commits, until the model has made up its mind; then all masks (Prophet)',
    defaults: { inner: 'fixedSteps' },
    // The inner policy's own parameters have been filled in by `namedPolicy`.
    make: (values): UnmaskPolicy => prophet(POLICIES[values.inner].make(values)),
  },
} satisfies Record<string, PolicyEntry>;

export type PolicyName = keyof typeof POLICIES;

/** The parameters that a policy reads, those of the policy that it may end early (`inner`) among them. */
export function parametersOf(name: PolicyName, inner?: string): ParameterName[] {
  const entries: Record<string, PolicyEntry> = POLICIES;
  const wrapped = name === 'prophet' ? entries[inner ?? POLICIES.prophet.defaults.inner] : undefined;
  return Object.keys({ ...wrapped?.defaults, ...entries[name].defaults }) as ParameterName[];
}

/** A policy by name. What is not given takes the policy's default; `steps` takes `blockLength`. */
export function namedPolicy(
  name: PolicyName,
  given: Partial<PolicyValues>,
  blockLength: number,
): UnmaskPolicy {
  const entries: Record<PolicyName, PolicyEntry> = POLICIES;
  const inner = name === 'prophet' ? entries[given.inner ?? POLICIES.prophet.defaults.inner].defaults : {};
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const values = { ...inner, ...entries[name].defaults, ...said };
  return entries[name].make({ ...values, steps: values.steps ?? blockLength } as PolicyValues);
}
