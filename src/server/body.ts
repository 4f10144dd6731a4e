/** Reading a request body: bytes to checked data, with a refusal for everything that is not right. */
import type { Context } from 'hono';
import type { z } from 'zod';
import type { Env } from './deps.ts';
import { fromZod, HttpError } from './errors.ts';

/** Far above any context window, far below what would hurt. */
export const MOST_BODY_BYTES = 10 * 1024 * 1024;
/** JSON inside JSON. The deepest known use is a JSON Schema of tools. */
const MOST_DEPTH = 200;
/**
 * Values of a body. Parsing and checking 700,000 keys holds everybody up for two seconds; a conversation of 1,000 messages
 * with 128 tools has a tenth of this, and Ollama's clients send a context of tokens back.
 */
const MOST_VALUES = 50_000;

/** For a body of JSON to come; files of batches have as long as the whole request may take. */
export const BODY_MS = 30_000;

/** The body, checked by its schema. The content type does not matter: `curl -d` sends the wrong one. */
export async function readBody<T>(c: Context<Env>, schema: z.ZodType<T>, withinMs = BODY_MS): Promise<T> {
  const source = decodeUtf8(await arriving(c, withinMs, (arrived) => c.req.arrayBuffer().finally(arrived)));
  checkSize(source);
  let json: unknown;
  try {
    json = JSON.parse(source);
  } catch {
    throw new HttpError(400, 'the body is not valid JSON', { code: 'invalid_json' });
  }
  const result = schema.safeParse(json);
  if (!result.success) throw fromZod(result.error);
  return result.data;
}

/**
 * A client that says its body byte by byte to hold the connection loses it.
 * @param work calls `arrived` when the body is there; it throws where that is too late
 * @throws HttpError 408
 */
export function arriving<T>(
  c: Context<Env>,
  withinMs: number,
  work: (arrived: () => void) => Promise<T>,
): Promise<T> {
  const tooLate = (): HttpError =>
    new HttpError(408, `the body did not come within ${withinMs / 1000} s`, { code: 'request_timeout' });
  return new Promise((resolve, reject) => {
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      c.var.headers['connection'] = 'close';
      reject(tooLate());
    }, withinMs);
    const arrived = (): void => {
      if (isLate) throw tooLate();
      clearTimeout(late);
    };
    work(arrived)
      .finally(() => clearTimeout(late))
      .then(resolve, reject);
  });
}

function decodeUtf8(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, 'the body is not valid UTF-8', { code: 'invalid_utf8' });
  }
}

/** Refuses what is nested too deep or has too many values, counted by signs outside of strings, before it is parsed. */
function checkSize(source: string): void {
  let [depth, values, inString] = [0, 1, false];
  for (let i = 0; i < source.length; i++) {
    const letter = source.charCodeAt(i);
    if (inString) {
      if (letter === 0x5c) i++;
      else if (letter === 0x22) inString = false;
    } else if (letter === 0x22) inString = true;
    else if (letter === 0x7d || letter === 0x5d) depth--;
    else if (letter === 0x7b || letter === 0x5b || letter === 0x2c) {
      values++;
      if (letter !== 0x2c) depth++;
      if (depth > MOST_DEPTH)
        throw new HttpError(400, `the body is nested deeper than ${MOST_DEPTH} levels`, {
          code: 'invalid_json',
        });
      if (values > MOST_VALUES)
        throw new HttpError(400, `the body has more than ${MOST_VALUES} values`, { code: 'too_many_values' });
    }
  }
}
