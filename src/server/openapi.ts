/** The description of the routes, made of the schemas that check their bodies. */
import { z } from 'zod';
import type { Route } from './deps.ts';

export interface Field {
  name: string;
  type: string;
  required: boolean;
  description: string;
}

type JsonSchema = Record<string, unknown>;

/** What a client may send, as JSON Schema. */
export const bodySchema = (schema: z.ZodType): JsonSchema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
};

/** The fields of a body, required ones first. */
export function fieldsOf(schema: z.ZodType): Field[] {
  const { properties = {}, required = [] } = bodySchema(schema) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties)
    .map(([name, property]) => ({
      name,
      type: typeOf(property),
      required: required.includes(name),
      description: descriptionOf(property),
    }))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

/** In words; empty for null, which every optional field takes. */
function typeOf(schema: JsonSchema): string {
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as JsonSchema[] | undefined;
  if (alternatives) {
    const types = alternatives.map(typeOf).filter((type) => type !== '');
    return [...new Set(types)].join(' or ') || 'any';
  }
  if (schema['const'] !== undefined) return JSON.stringify(schema['const']);
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => JSON.stringify(value)).join(' or ');
  if (schema['type'] === 'array') return `list of ${typeOf((schema['items'] ?? {}) as JsonSchema)}`;
  const types = [schema['type'] ?? 'any'].flat() as string[];
  return types.filter((type) => type !== 'null').join(' or ');
}

/** Said of the field, or of what it is made of. */
function descriptionOf(schema: JsonSchema): string {
  if (typeof schema['description'] === 'string') return schema['description'];
  const parts = ((schema['anyOf'] ?? []) as JsonSchema[]).map(descriptionOf);
  return parts.find((text) => text !== '') ?? '';
}

const ERROR = {
  description: 'An error',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
};

export function openApi(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { method, path, tag, summary, body, streams } of routes) {
    const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    }));
    const content: Record<string, object> = { 'application/json': { schema: { type: 'object' } } };
    if (streams) content[streams] = { schema: { type: 'string' } };
    const operation = {
      operationId: `${method}${path.replace(/[^a-z0-9]+(.)?/gi, (_, letter?: string) => letter?.toUpperCase() ?? '')}`,
      tags: [tag],
      summary,
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(body
        ? { requestBody: { required: true, content: { 'application/json': { schema: bodySchema(body) } } } }
        : {}),
      responses: {
        200: { description: 'An answer', content },
        ...(body ? { 400: ERROR, 404: ERROR, 413: ERROR, 503: ERROR } : {}),
        default: ERROR,
      },
    };
    (paths[path.replace(/:(\w+)/g, '{$1}')] ??= {})[method] = operation;
  }
  const nullable = { type: ['string', 'null'] };
  return {
    openapi: '3.1.0',
    info: { title: 'tintype', version: '1', description: 'Diffusion language models over HTTP.' },
    paths,
    components: {
      schemas: {
        Error: {
          type: 'object',
          properties: {
            error: {
              // Ollama's routes say it in one string.
              type: ['object', 'string'],
              properties: {
                message: { type: 'string' },
                type: { type: 'string' },
                param: nullable,
                code: nullable,
              },
            },
          },
          required: ['error'],
        },
      },
    },
  };
}
