/** A pasted schema, checked before anything is asked: by the compiler that the server uses too. */
import { TintypeError } from '../../../src/errors.ts';
import { jsonFault } from './json-position.ts';

export type Checked = { schema: unknown } | { fault: string };

/** Says where and why a schema cannot be used. */
export async function checkSchema(text: string): Promise<Checked> {
  if (text.trim() === '') return { fault: 'Paste a JSON Schema.' };
  const found = jsonFault(text);
  if (found) return { fault: `Not JSON: line ${found.line}, column ${found.column}: ${found.why}.` };
  const schema = JSON.parse(text) as unknown;
  if (
    typeof schema !== 'boolean' &&
    (typeof schema !== 'object' || schema === null || Array.isArray(schema))
  ) {
    return { fault: 'A JSON Schema is an object, or true or false.' };
  }
  // Fetched with the first schema.
  const { compileJsonSchema } = await import('../../../src/decode/constraints/json-schema.ts');
  try {
    compileJsonSchema(schema);
    return { schema };
  } catch (error) {
    if (!(error instanceof TintypeError)) throw error;
    return { fault: error.message };
  }
}
