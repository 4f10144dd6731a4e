/** A JSON schema as it was given: subschemas with their places, and what `$ref` finds. */
import { TintypeError } from '../../errors.ts';
import { MOST_SUBSCHEMAS, tooLarge, unsupported } from './limits.ts';
import type { Place } from './limits.ts';

/** A subschema and where it stands, as a JSON pointer (`#` is the root). */
export interface SchemaAt {
  readonly schema: unknown;
  readonly place: Place;
}

export interface SchemaSource {
  readonly root: SchemaAt;
  /** @throws bad_option or unsupported */
  resolve(ref: string, from: Place): SchemaAt;
  /** The same string for the same set of subschemas, whatever their order. */
  keyOf(schemas: readonly SchemaAt[]): string;
}

/** Objects and arrays inside a schema. */
const MOST_PARTS = 20 * MOST_SUBSCHEMAS;

export function below(place: Place, ...steps: (string | number)[]): Place {
  return [place, ...steps.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/');
}

export function badSchema(what: string, place: Place, got: unknown, wanted: string): TintypeError {
  // JSON has no word for some values.
  const shown = typeof got === 'bigint' ? `${got}n` : (JSON.stringify(got) ?? typeof got);
  return new TintypeError('bad_option', {
    what: `${what} at ${place} is not JSON Schema`,
    got: shown.length > 80 ? `${shown.slice(0, 80)}…` : shown,
    wanted,
  });
}

export function readSource(schema: unknown): SchemaSource {
  const root: SchemaAt = { schema, place: '#' };
  const named = collectNames(root);
  const numbers = new Map<unknown, number>();
  return {
    root,
    keyOf(schemas) {
      const ids = schemas.map(({ schema }) => {
        if (!numbers.has(schema)) numbers.set(schema, numbers.size);
        return numbers.get(schema)!;
      });
      return [...new Set(ids)].sort((a, b) => a - b).join();
    },
    resolve(ref, from) {
      const byName = named.get(ref);
      if (byName) return byName;
      const [base, fragment = ''] = ref.split('#');
      const document = base === '' ? root : (named.get(base) ?? named.get(`${base}#`));
      if (!document) {
        throw unsupported(
          `a $ref to another document (${ref})`,
          from,
          'put that schema under $defs and refer to it there',
        );
      }
      const anchored = named.get(`#${fragment}`);
      if (base === '' && anchored) return anchored;
      return follow(document, fragment, ref, from);
    },
  };
}

function follow(document: SchemaAt, fragment: string, ref: string, from: Place): SchemaAt {
  const missing = (): TintypeError => badSchema('$ref', from, ref, 'a pointer to a subschema that exists');
  if (fragment !== '' && !fragment.startsWith('/')) throw missing();
  let { schema, place } = document;
  for (const step of fragment.split('/').slice(1)) {
    let name: string;
    try {
      name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~');
    } catch {
      throw missing();
    }
    if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, name)) throw missing();
    schema = (schema as Record<string, unknown>)[name];
    place = below(place, name);
  }
  return { schema, place };
}

/** What `$id` and `$anchor` name. Also counts, so that a bomb is refused before anything is compiled. */
function collectNames(root: SchemaAt): Map<string, SchemaAt> {
  const named = new Map<string, SchemaAt>();
  const seen = new Set<unknown>();
  const stack = [{ ...root, parents: 0 }];
  while (stack.length > 0) {
    const { schema, place, parents } = stack.pop()!;
    if (typeof schema !== 'object' || schema === null || seen.has(schema)) continue;
    seen.add(schema);
    if (seen.size > MOST_PARTS) throw tooLarge('a schema', '#', 'too many parts', MOST_PARTS);
    // Places grow with depth, so depth alone can fill the memory.
    if (parents > 1000) throw tooLarge('a schema', `${place.slice(0, 40)}…`, 'nesting', 1000);
    const { $id, $anchor } = schema as { $id?: unknown; $anchor?: unknown };
    if (typeof $id === 'string') named.set($id, { schema, place });
    if (typeof $anchor === 'string') named.set(`#${$anchor}`, { schema, place });
    for (const [name, part] of Object.entries(schema)) {
      if (typeof part === 'object')
        stack.push({ schema: part, place: below(place, name), parents: parents + 1 });
    }
  }
  return named;
}
