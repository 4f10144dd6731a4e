/** Schemas of the kind that people have: tool arguments, configuration files, records, documents. */

const string = { type: 'string' };
const integer = { type: 'integer' };
const number = { type: 'number' };
const boolean = { type: 'boolean' };
const list = (items: unknown, more: object = {}) => ({ type: 'array', items, ...more });
const object = (
  properties: Record<string, unknown>,
  required: string[] = Object.keys(properties),
  more: object = {},
) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
  ...more,
});
const position = { type: 'array', prefixItems: [number, number], items: number, minItems: 2, maxItems: 3 };

export const REALISTIC: Readonly<Record<string, unknown>> = {
  'tool: weather': object({ location: string, unit: { enum: ['celsius', 'fahrenheit'] } }, ['location']),
  'tool: search': object(
    {
      query: { type: 'string', minLength: 1, maxLength: 200 },
      limit: { type: 'integer', minimum: 1, maximum: 100 },
      filters: list(
        object({ field: string, op: { enum: ['eq', 'lt', 'gt'] }, value: { type: ['string', 'number'] } }),
      ),
    },
    ['query'],
  ),
  'tool: calendar': object(
    {
      title: string,
      start: { type: 'string', format: 'date-time' },
      end: { type: 'string', format: 'date-time' },
      attendees: list({ type: 'string', format: 'email' }, { maxItems: 10 }),
      reminder: { anyOf: [{ type: 'null' }, { type: 'integer', minimum: 0, maximum: 10_080 }] },
    },
    ['title', 'start'],
  ),
  'tool: file edit': object({
    path: { type: 'string', pattern: '^[\\w./-]+$' },
    edits: list(
      object({
        line: { type: 'integer', minimum: 1 },
        insert: string,
        remove: { type: 'integer', minimum: 0 },
      }),
      { minItems: 1 },
    ),
  }),
  'tool: sql': object({
    table: { type: 'string', pattern: '^[a-z_][a-z0-9_]{0,62}$' },
    columns: list(string),
    limit: integer,
  }),
  'tool: no arguments': object({}),
  'tool: union': {
    oneOf: [
      object({ action: { const: 'create' }, name: string }),
      object({ action: { const: 'delete' }, id: { type: 'string', format: 'uuid' } }),
      object({ action: { const: 'move' }, id: { type: 'string', format: 'uuid' }, to: position }),
    ],
  },
  'package.json': {
    type: 'object',
    properties: {
      name: {
        type: 'string',
        pattern: '^(?:@[a-z0-9-~][a-z0-9-._~]*/)?[a-z0-9-~][a-z0-9-._~]*$',
        maxLength: 214,
      },
      version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$' },
      description: string,
      keywords: list(string),
      license: string,
      type: { enum: ['module', 'commonjs'] },
      main: string,
      bin: { anyOf: [string, { type: 'object', additionalProperties: string }] },
      scripts: { type: 'object', additionalProperties: string },
      dependencies: { type: 'object', additionalProperties: string },
      devDependencies: { $ref: '#/properties/dependencies' },
      repository: { anyOf: [string, object({ type: string, url: { type: 'string', format: 'uri' } })] },
      private: boolean,
    },
    required: ['name', 'version'],
  },
  tsconfig: {
    type: 'object',
    properties: {
      extends: { anyOf: [string, list(string)] },
      compilerOptions: {
        type: 'object',
        properties: {
          target: { enum: ['es5', 'es2015', 'es2020', 'es2022', 'esnext'] },
          module: { enum: ['commonjs', 'esnext', 'nodenext', 'preserve'] },
          lib: list(string, { uniqueItems: false }),
          strict: boolean,
          outDir: string,
          paths: { type: 'object', additionalProperties: list(string) },
          jsx: { enum: ['preserve', 'react', 'react-jsx'] },
          noEmit: boolean,
        },
      },
      include: list(string),
      exclude: list(string),
      references: list({ type: 'object', properties: { path: string }, required: ['path'] }),
    },
  },
  geojson: {
    $defs: {
      point: object({ type: { const: 'Point' }, coordinates: position }),
      line: object({ type: { const: 'LineString' }, coordinates: list(position, { minItems: 2 }) }),
      polygon: object({ type: { const: 'Polygon' }, coordinates: list(list(position, { minItems: 4 })) }),
      geometry: {
        oneOf: [
          { $ref: '#/$defs/point' },
          { $ref: '#/$defs/line' },
          { $ref: '#/$defs/polygon' },
          { $ref: '#/$defs/collection' },
        ],
      },
      collection: object({
        type: { const: 'GeometryCollection' },
        geometries: list({ $ref: '#/$defs/geometry' }),
      }),
    },
    type: 'object',
    properties: {
      type: { const: 'Feature' },
      geometry: { anyOf: [{ $ref: '#/$defs/geometry' }, { type: 'null' }] },
      properties: { type: ['object', 'null'] },
      id: { type: ['string', 'number'] },
    },
    required: ['type', 'geometry', 'properties'],
  },
  invoice: object({
    number: { type: 'string', pattern: '^INV-\\d{4}-\\d{5}$' },
    date: { type: 'string', format: 'date' },
    currency: { enum: ['EUR', 'USD', 'GBP', 'JPY'] },
    lines: list(
      object({
        text: string,
        quantity: { type: 'integer', minimum: 1 },
        price: { type: 'number', minimum: 0, multipleOf: 0.01 },
      }),
      { minItems: 1 },
    ),
    total: { type: 'number', exclusiveMinimum: 0, multipleOf: 0.01 },
    paid: boolean,
  }),
  person: object(
    {
      name: object({ first: string, last: string }),
      age: { type: 'integer', minimum: 0, maximum: 150 },
      email: { type: 'string', format: 'email' },
      phone: { type: 'string', pattern: '^\\+?[0-9 ()-]{5,20}$' },
      address: object(
        {
          street: string,
          city: string,
          zip: { type: 'string', pattern: '^\\d{5}$' },
          country: { type: 'string', minLength: 2, maxLength: 2 },
        },
        ['city'],
      ),
    },
    ['name', 'age'],
  ),
  'recursive: comments': {
    $ref: '#/$defs/comment',
    $defs: {
      comment: object({ author: string, text: string, replies: list({ $ref: '#/$defs/comment' }) }, [
        'author',
        'text',
      ]),
    },
  },
  'recursive: arithmetic': {
    $defs: {
      expression: {
        oneOf: [
          number,
          object({
            op: { enum: ['+', '-', '*', '/'] },
            left: { $ref: '#/$defs/expression' },
            right: { $ref: '#/$defs/expression' },
          }),
        ],
      },
    },
    $ref: '#/$defs/expression',
  },
  'recursive: file tree': {
    $id: 'https://example.com/tree',
    type: 'object',
    properties: { name: { type: 'string', minLength: 1 }, children: { type: 'array', items: { $ref: '#' } } },
    required: ['name'],
    additionalProperties: false,
  },
  'any JSON': true,
  'any object': { type: 'object' },
  'map of numbers': { type: 'object', additionalProperties: number, minProperties: 1 },
  'map by pattern': {
    type: 'object',
    patternProperties: { '^[A-Z]{2}$': integer },
    additionalProperties: false,
  },
  classification: object({
    label: { enum: ['bug', 'feature', 'question', 'spam'] },
    confidence: { type: 'number', minimum: 0, maximum: 1 },
  }),
  'labels, unique': list(
    { enum: ['red', 'green', 'blue', 'black', 'white'] },
    { uniqueItems: true, minItems: 1, maxItems: 3 },
  ),
  extraction: object({
    entities: list(
      object({
        text: string,
        type: { enum: ['PERSON', 'PLACE', 'ORG', 'DATE'] },
        start: { type: 'integer', minimum: 0 },
        end: { type: 'integer', minimum: 0 },
      }),
    ),
    relations: list(object({ from: integer, to: integer, kind: string })),
  }),
  'chain of thought': object({
    steps: list(object({ explanation: string, output: string }), { minItems: 1, maxItems: 5 }),
    answer: string,
  }),
  'server config': object(
    {
      host: {
        anyOf: [
          { type: 'string', format: 'ipv4' },
          { type: 'string', format: 'hostname' },
        ],
      },
      port: { type: 'integer', minimum: 1, maximum: 65_535 },
      tls: object({ cert: string, key: string, minVersion: { enum: ['1.2', '1.3'] } }),
      log: object({ level: { enum: ['debug', 'info', 'warn', 'error'] }, json: boolean }, []),
      timeouts: object(
        {
          read: { type: 'number', exclusiveMinimum: 0, maximum: 600 },
          write: { type: 'number', exclusiveMinimum: 0, maximum: 600 },
        },
        [],
      ),
    },
    ['host', 'port'],
  ),
  'OpenAPI-like': {
    type: 'object',
    properties: {
      openapi: { const: '3.1.0' },
      info: object({ title: string, version: string }),
      paths: {
        type: 'object',
        patternProperties: {
          '^/': {
            type: 'object',
            propertyNames: { enum: ['get', 'post', 'put', 'delete'] },
            additionalProperties: object({ operationId: string, summary: string }, ['operationId']),
          },
        },
      },
    },
    required: ['openapi', 'info', 'paths'],
  },
  'JSON-RPC request': object(
    {
      jsonrpc: { const: '2.0' },
      method: string,
      params: { anyOf: [list(true), { type: 'object' }] },
      id: { type: ['string', 'integer', 'null'] },
    },
    ['jsonrpc', 'method'],
  ),
  'chess move': object({
    from: { type: 'string', pattern: '^[a-h][1-8]$' },
    to: { type: 'string', pattern: '^[a-h][1-8]$' },
    promotion: { enum: ['q', 'r', 'b', 'n', null] },
  }),
  'sudoku 6x6': list(list({ type: 'integer', minimum: 1, maximum: 6 }, { minItems: 6, maxItems: 6 }), {
    minItems: 6,
    maxItems: 6,
  }),
  colour: { type: 'string', pattern: '^#(?:[0-9a-f]{3}|[0-9a-f]{6})$' },
  'log line': object(
    {
      time: { type: 'string', format: 'date-time' },
      level: { enum: ['info', 'error'] },
      message: string,
      context: { type: 'object' },
    },
    ['time', 'level', 'message'],
  ),
  'allOf: entity': {
    $defs: {
      base: { type: 'object', properties: { id: { type: 'string', format: 'uuid' } }, required: ['id'] },
    },
    allOf: [
      { $ref: '#/$defs/base' },
      {
        type: 'object',
        properties: { name: string, size: { type: 'number', minimum: 0 } },
        required: ['name'],
      },
    ],
  },
  'anyOf: either required': {
    type: 'object',
    properties: {
      email: { type: 'string', format: 'email' },
      phone: { type: 'string', pattern: '^\\+\\d{6,14}$' },
    },
    anyOf: [{ required: ['email'] }, { required: ['phone'] }],
  },
  'GraphQL-like query': object(
    {
      query: string,
      variables: { type: 'object', additionalProperties: true },
      operationName: { type: ['string', 'null'] },
    },
    ['query'],
  ),
  matrix: list(list({ type: 'number', minimum: -1, maximum: 1 }, { minItems: 3, maxItems: 3 }), {
    minItems: 2,
    maxItems: 2,
  }),
  'no type, by keywords': {
    properties: { a: { minimum: 3 }, b: { maxLength: 4 }, c: { items: boolean } },
    required: ['a'],
  },
};
