/** What a text is held to, as a grammar. */
import { TintypeError } from '../../errors.ts';
import { jsonSchemaGrammar } from './json-schema.ts';
import type { Node } from './nodes.ts';
import { regexGrammar } from './regex.ts';

/** One of the two. */
export interface Constraint {
  /** The text is JSON that is valid by this JSON Schema. */
  schema?: unknown;
  /** The text as a whole matches this regular expression. */
  regex?: string | undefined;
}

/** @throws bad_option or unsupported, for what cannot be compiled */
export function grammarOf({ schema, regex }: Constraint): Node {
  if (schema !== undefined && regex !== undefined) {
    throw new TintypeError('bad_option', {
      what: 'schema and regex cannot both say what the text is',
      next: 'give one of them; a pattern may stand inside the schema',
    });
  }
  return regex === undefined ? jsonSchemaGrammar(schema) : regexGrammar(regex);
}
