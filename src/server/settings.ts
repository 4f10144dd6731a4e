/** From the fields that all OpenAI-shaped bodies share to what the engine is asked. */
import type { CompleteOptions } from '../decode/complete.ts';
import type { RequestSettings } from '../decode/engine-types.ts';
import { MOST_CANDIDATES } from '../decode/sampling.ts';
import { HttpError } from './errors.ts';
import type { FimBody } from './schemas.ts';

type Shared = Pick<
  FimBody,
  'temperature' | 'top_p' | 'top_k' | 'logit_bias' | 'diffusing' | 'stream' | 'response_format' | 'tintype'
>;

export const settingsOf = (
  body: Shared,
  schema: unknown = formatSchema(body.response_format),
): Pick<RequestSettings, 'temperature' | 'topP' | 'logitBias' | 'frames' | 'options'> => ({
  temperature: body.temperature,
  topP: body.top_p,
  logitBias: body.logit_bias,
  frames: body.stream && (body.diffusing === true || body.diffusing === 'frames'),
  options: optionsOf(body.tintype, { topK: body.top_k, schema }),
});

/** Compiling takes the decoder's thread, so what would take it for seconds is refused here. */
const MOST_SCHEMA_CHARACTERS = 256 * 1024;

/** The decoder's own options, with what other fields of the body say. */
export function optionsOf(
  own: CompleteOptions,
  { topK, schema }: { topK?: number | null | undefined; schema?: unknown },
): CompleteOptions {
  if (schema !== undefined && (own.schema !== undefined || own.regex !== undefined)) {
    throw new HttpError(400, 'tintype: a schema or a regex beside response_format or a demanded tool call', {
      param: 'tintype',
      code: 'invalid_value',
    });
  }
  const bound = own.schema ?? schema;
  if (bound !== undefined && JSON.stringify(bound).length > MOST_SCHEMA_CHARACTERS) {
    throw new HttpError(400, `the JSON Schema is larger than ${MOST_SCHEMA_CHARACTERS} characters`, {
      param: own.schema === undefined ? 'response_format' : 'tintype',
      code: 'schema_too_large',
    });
  }
  return {
    ...(typeof topK === 'number' && topK > 0 ? { topK: Math.min(topK, MOST_CANDIDATES) } : {}),
    ...own,
    ...(schema === undefined ? {} : { schema }),
  };
}

/** The schema that a response format demands, if any. */
export function formatSchema(format: FimBody['response_format']): unknown {
  if (format?.type === 'json_object') return { type: 'object' };
  if (format?.type === 'json_schema') return format.json_schema.schema;
  return undefined;
}
