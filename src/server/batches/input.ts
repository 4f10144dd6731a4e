/** The input of a batch: lines of JSON to checked requests. */
import { z } from 'zod';
import type { BatchError, BatchLine } from './types.ts';

/** Routes that batches may ask. */
export const ENDPOINTS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/fim/completions',
  '/v1/edit/completions',
  '/v1/apply/completions',
  '/v1/infill',
] as const;

export const MOST_LINES = 50_000;
const MOST_ERRORS = 20;
const MOST_CUSTOM_ID = 512;

const line = z.object(
  {
    custom_id: z
      .string({ error: 'expected a string' })
      .min(1, 'expected a text that is not empty')
      .max(MOST_CUSTOM_ID, `expected at most ${MOST_CUSTOM_ID} letters`),
    method: z.literal('POST', { error: 'expected "POST"' }),
    url: z.string({ error: 'expected a string' }),
    body: z.record(z.string(), z.unknown(), { error: 'expected a JSON object' }),
  },
  { error: 'expected a JSON object' },
);

/** Either lines, or what is wrong with them; the bodies are checked when they run. */
export function parseInput(
  content: Uint8Array,
  endpoint: string,
): { lines: BatchLine[]; errors: BatchError[] } {
  const errors: BatchError[] = [];
  const lines: BatchLine[] = [];
  const seen = new Set<string>();
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return {
      lines,
      errors: [{ code: 'invalid_utf8', message: 'the file is not UTF-8', param: null, line: null }],
    };
  }
  for (const [index, source] of text.split('\n').entries()) {
    if (source.trim() === '') continue;
    if (errors.length >= MOST_ERRORS) break;
    const refuse = (code: string, message: string, param: string | null = null): unknown =>
      errors.push({ code, message, param, line: index + 1 });
    if (lines.length >= MOST_LINES) {
      refuse('too_many_lines', `expected at most ${MOST_LINES} requests`);
      break;
    }
    let json: unknown;
    try {
      json = JSON.parse(source);
    } catch {
      refuse('invalid_json_line', 'the line is not valid JSON');
      continue;
    }
    const read = line.safeParse(json);
    if (!read.success) {
      const [issue] = read.error.issues;
      refuse('invalid_request', issue.message, issue.path.join('.') || null);
      continue;
    }
    const { custom_id: customId, url, body } = read.data;
    if (seen.has(customId)) refuse('duplicate_custom_id', 'another line has the same custom_id', 'custom_id');
    else if (url !== endpoint) refuse('mismatched_url', `expected ${endpoint}, as the batch says`, 'url');
    else if (body['stream'] === true) refuse('invalid_request', 'a batch cannot stream', 'body.stream');
    else lines.push({ customId, body: JSON.stringify(body) });
    seen.add(customId);
  }
  if (lines.length === 0 && errors.length === 0) {
    errors.push({ code: 'empty_file', message: 'the file holds no requests', param: null, line: null });
  }
  return { lines, errors };
}
