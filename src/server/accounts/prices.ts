/** What tokens cost. Money is whole billionths inside, so that sums are exact. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { TokenCounts } from '../../decode/engine-types.ts';
import { TintypeError } from '../../errors.ts';
import type { Pricing } from '../deps.ts';

/** Money for a million tokens. */
const price = z.strictObject({
  input: z.number().min(0).max(1e6),
  /** Of a prompt token that an earlier request had computed; a tenth of `input` where nothing is said. */
  cached: z.number().min(0).max(1e6).optional(),
  output: z.number().min(0).max(1e6),
});
export type Price = z.infer<typeof price>;

const pricesSchema = z.strictObject({
  default: price.default({ input: 0.25, output: 1 }),
  /** By id of the model. */
  models: z.record(z.string(), price).default({}),
});
export type Prices = z.infer<typeof pricesSchema>;

export const DEFAULT_PRICES: Prices = pricesSchema.parse({});

const NANOS = 1e9;
const MILLION = 1e6;

export const toNanos = (money: number): number => Math.round(money * NANOS);
export const toMoney = (nanos: number): number => nanos / NANOS;

export const priceOf = ({ models, default: usual }: Prices, model: string): Required<Price> => {
  const own = Object.hasOwn(models, model) ? models[model] : usual;
  return { ...own, cached: own.cached ?? own.input / 10 };
};

/** What an answer costs, rounded to a billionth. */
export function priceNanos(
  prices: Prices,
  model: string,
  { promptTokens, cachedTokens, completionTokens }: TokenCounts,
): number {
  const { input, cached, output } = priceOf(prices, model);
  const money = (promptTokens - cachedTokens) * input + cachedTokens * cached + completionTokens * output;
  return Math.round((money / MILLION) * NANOS);
}

/** Of one token, as text without exponents. */
export const pricingOf =
  (prices: Prices) =>
  (model: string): Pricing => {
    const { input, cached, output } = priceOf(prices, model);
    const each = (price: number): string =>
      price === 0 ? '0' : (price / MILLION).toFixed(12).replace(/0+$/, '');
    return { prompt: each(input), completion: each(output), input_cache_reads: each(cached) };
  };

/** `{"default": {"input", "cached", "output"}, "models": {"tintype-code": {…}}}`. Errors: `not_found`, `bad_config`. */
export async function readPrices(path: string): Promise<Prices> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TintypeError('not_found', { what: `cannot read the prices in ${path}`, cause });
  }
  try {
    return pricesSchema.parse(JSON.parse(text));
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : null;
    throw new TintypeError('bad_config', {
      what: `${path} holds no prices`,
      got: issue ? `${issue.path.join('.')}: ${issue.message}` : 'no JSON',
      wanted: '{"default": {"input": 0.25, "output": 1}, "models": {}}, money for a million tokens',
      cause,
    });
  }
}
