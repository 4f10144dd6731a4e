/** `/v1/files` and `/v1/batches`, in OpenAI's shapes. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { needOf } from '../accounts/scopes.ts';
import { storageError } from '../accounts/storage-error.ts';
import { route } from '../deps.ts';
import type { Ctx, Route } from '../deps.ts';
import { fromZod, HttpError } from '../errors.ts';
import { ENDPOINTS, parseInput } from './input.ts';
import { begin } from './service.ts';
import { KEPT_MS } from './types.ts';
import type { Batch, Batches, BatchStore, StoredFile } from './types.ts';

/** Of a file and the form around it. */
export const MOST_FILE_BYTES = 64 * 1024 * 1024;
const MOST_NAME = 255;
const DAY_MS = 86_400_000;
const WINDOWS_MS: Readonly<Record<string, number>> = { '24h': DAY_MS };

const createBody = z.object(
  {
    input_file_id: z.string({ error: 'expected the id of a file' }),
    endpoint: z.enum(ENDPOINTS, { error: `expected one of ${ENDPOINTS.join(', ')}` }),
    completion_window: z.enum(['24h'], { error: 'expected "24h"' }),
    metadata: z
      .record(z.string().max(64), z.string().max(512))
      .refine((given) => Object.keys(given).length <= 16, 'expected at most 16 keys')
      .nullish(),
  },
  { error: 'expected a JSON object' },
);
type CreateBody = z.infer<typeof createBody>;

const page = z.object({
  limit: z.coerce.number({ error: 'expected 1 to 100' }).int().min(1).max(100).default(20),
  after: z.string().optional(),
  purpose: z.string().optional(),
});

export function batchRoutes(
  batches: Batches,
  nowMs: () => number = Date.now,
  keepMs: number = KEPT_MS,
): Route[] {
  const { store } = batches;
  const wireFile = wireFileOf(keepMs);
  const tag = 'OpenAI' as const;
  return [
    route({
      method: 'post',
      path: '/v1/files',
      tag,
      summary: 'Upload a file of requests (multipart form: file, purpose "batch")',
      answer: async (c) => c.json(wireFile(await upload(c, store, nowMs()))),
    }),
    route({
      method: 'get',
      path: '/v1/files',
      tag,
      summary: 'The files of this key, newest first',
      answer: async (c) => {
        const { purpose } = pageOf(c);
        const files = await store.files(ownerOf(c)).catch(storageError);
        return listed(
          c,
          files.filter((file) => purpose === undefined || file.purpose === purpose),
          wireFile,
        );
      },
    }),
    route({
      method: 'get',
      path: '/v1/files/:id',
      tag,
      summary: 'One file',
      answer: async (c) => c.json(wireFile(await ownFile(c, store, c.req.param('id')!))),
    }),
    route({
      method: 'get',
      path: '/v1/files/:id/content',
      tag,
      summary: 'What is in it',
      answer: async (c) => {
        const { id } = await ownFile(c, store, c.req.param('id')!);
        const content = await store.content(id).catch(storageError);
        if (content === null) throw noFile(id);
        return c.body(new Uint8Array(content), 200, {
          'content-type': 'application/jsonl',
          'x-content-type-options': 'nosniff',
          'content-disposition': `attachment; filename="${id}.jsonl"`,
        });
      },
    }),
    route({
      method: 'delete',
      path: '/v1/files/:id',
      tag,
      summary: 'Forget a file',
      answer: async (c) => {
        const { id } = await ownFile(c, store, c.req.param('id')!);
        await store.removeFile(id).catch(storageError);
        return c.json({ id, object: 'file', deleted: true });
      },
    }),
    route({
      method: 'post',
      path: '/v1/batches',
      tag,
      summary: 'Answer all requests of a file, within a day',
      body: createBody,
      answer: async (c, body: CreateBody) =>
        c.json(await wireBatch(store, await create(c, body, batches, nowMs()))),
    }),
    route({
      method: 'get',
      path: '/v1/batches',
      tag,
      summary: 'The batches of this key, newest first',
      answer: async (c) => {
        const all = await store.batches(ownerOf(c)).catch(storageError);
        return listed(c, all, (batch) => wireBatch(store, batch));
      },
    }),
    route({
      method: 'get',
      path: '/v1/batches/:id',
      tag,
      summary: 'One batch',
      answer: async (c) => c.json(await wireBatch(store, await ownBatch(c, store, c.req.param('id')!))),
    }),
    route({
      method: 'post',
      path: '/v1/batches/:id/cancel',
      tag,
      summary: 'End a batch early; what is done stays',
      answer: async (c) => {
        const batch = await ownBatch(c, store, c.req.param('id')!);
        const times = { ...batch.times, cancelling: nowMs() };
        const isNew = await store
          .change(batch.id, ['validating', 'in_progress'], { status: 'cancelling', times })
          .catch(storageError);
        const now = (await store.batch(batch.id).catch(storageError)) ?? batch;
        if (isNew || now.status === 'cancelling') return c.json(await wireBatch(store, now));
        throw new HttpError(409, `the batch is ${now.status}: it cannot be cancelled any more`, {
          code: 'batch_over',
        });
      },
    }),
  ];
}

/** Undefined for those who may see everything. */
const ownerOf = (c: Ctx): string | undefined =>
  c.var.key === null || c.var.key.scopes.includes('admin') ? undefined : c.var.key.id;

const noFile = (id: string): HttpError =>
  new HttpError(404, `there is no file ${JSON.stringify(id.slice(0, 80))}`, { code: 'file_not_found' });

/** Somebody else's file is no file. */
async function ownFile(c: Ctx, store: BatchStore, id: string): Promise<StoredFile> {
  const file = await store.file(id).catch(storageError);
  const owner = ownerOf(c);
  if (file === null || (owner !== undefined && file.keyId !== owner)) throw noFile(id);
  return file;
}

async function ownBatch(c: Ctx, store: BatchStore, id: string): Promise<Batch> {
  const batch = await store.batch(id).catch(storageError);
  const owner = ownerOf(c);
  if (batch !== null && (owner === undefined || batch.keyId === owner)) return batch;
  throw new HttpError(404, `there is no batch ${JSON.stringify(id.slice(0, 80))}`, {
    code: 'batch_not_found',
  });
}

const invalid = (param: string, message: string): HttpError =>
  new HttpError(400, `${param}: ${message}`, { param, code: 'invalid_value' });

async function upload(c: Ctx, store: BatchStore, nowMs: number): Promise<StoredFile> {
  let form: FormData;
  try {
    form = await c.req.formData();
  } catch (error) {
    // What the limit of the body throws passes.
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, 'expected a multipart form with the parts "file" and "purpose"', {
      code: 'invalid_form',
    });
  }
  if (form.get('purpose') !== 'batch') throw invalid('purpose', 'expected "batch"');
  const file = form.get('file');
  if (!(file instanceof File)) throw invalid('file', 'expected a file');
  if (file.size === 0) throw invalid('file', 'expected a file that is not empty');
  const stored: StoredFile = {
    id: `file-${randomBytes(12).toString('hex')}`,
    keyId: c.var.key?.id ?? null,
    filename: plainName(file.name),
    purpose: 'batch',
    bytes: file.size,
    createdMs: nowMs,
  };
  await store.addFile(stored, new Uint8Array(await file.arrayBuffer())).catch(storageError);
  return stored;
}

/** The last part of a path, in printable letters. Only shown: where a file is kept does not depend on it. */
function plainName(name: string): string {
  const last = name.split(/[/\\]/).at(-1)!;
  return last.replace(/\p{C}/gu, '').slice(0, MOST_NAME) || 'unnamed';
}

async function create(c: Ctx, body: CreateBody, batches: Batches, nowMs: number): Promise<Batch> {
  const { store } = batches;
  const idempotencyKey = c.req.header('idempotency-key') ?? null;
  if (idempotencyKey !== null && idempotencyKey.length > MOST_NAME)
    throw invalid('idempotency-key', `expected at most ${MOST_NAME} letters`);
  const scope = needOf(body.endpoint);
  const { key } = c.var;
  if (key !== null && (scope === 'chat' || scope === 'complete') && !key.scopes.includes(scope)) {
    throw new HttpError(403, `this key may not do that: it lacks the scope "${scope}" of ${body.endpoint}`, {
      code: 'insufficient_permissions',
    });
  }
  const file = await ownFile(c, store, body.input_file_id);
  if (file.purpose !== 'batch') throw invalid('input_file_id', 'expected a file of purpose "batch"');
  const content = await store.content(file.id).catch(storageError);
  if (content === null) throw noFile(file.id);
  const { lines, errors } = parseInput(content, body.endpoint);
  const isGood = errors.length === 0;
  const batch: Batch = {
    id: `batch_${randomBytes(12).toString('hex')}`,
    keyId: key?.id ?? null,
    idempotencyKey,
    endpoint: body.endpoint,
    inputFileId: file.id,
    outputFileId: null,
    errorFileId: null,
    status: isGood ? 'validating' : 'failed',
    outcome: null,
    errors,
    total: isGood ? lines.length : 0,
    metadata: body.metadata ?? {},
    createdMs: nowMs,
    expiresMs: nowMs + WINDOWS_MS[body.completion_window],
    times: isGood ? {} : { failed: nowMs },
  };
  const kept = await store.addBatch(batch, isGood ? lines : []).catch(storageError);
  if (kept.id !== batch.id || !isGood) return kept;
  await begin(batches, batch, nowMs).catch(storageError);
  return (await store.batch(batch.id).catch(storageError)) ?? kept;
}

function pageOf(c: Ctx): z.infer<typeof page> {
  const read = page.safeParse(c.req.query());
  if (!read.success) throw fromZod(read.error);
  return read.data;
}

async function listed<T extends { id: string }>(
  c: Ctx,
  all: readonly T[],
  wire: (item: T) => object | Promise<object>,
): Promise<Response> {
  const { limit, after } = pageOf(c);
  const start = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && start === 0) throw invalid('after', 'expected an id of this list');
  const some = all.slice(start, start + limit);
  return c.json({
    object: 'list',
    data: await Promise.all(some.map(async (item) => wire(item))),
    first_id: some[0]?.id ?? null,
    last_id: some.at(-1)?.id ?? null,
    has_more: start + limit < all.length,
  });
}

const seconds = (ms: number | undefined): number | null => (ms === undefined ? null : Math.floor(ms / 1000));

const wireFileOf = (keepMs: number) => (file: StoredFile) => ({
  id: file.id,
  object: 'file',
  bytes: file.bytes,
  created_at: seconds(file.createdMs),
  expires_at: seconds(file.createdMs + keepMs),
  filename: file.filename,
  purpose: file.purpose,
  status: 'processed',
});

async function wireBatch(store: BatchStore, batch: Batch) {
  const { times } = batch;
  const counts =
    batch.total === 0 ? { completed: 0, failed: 0 } : await store.counts(batch.id).catch(storageError);
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors: batch.errors.length === 0 ? null : { object: 'list', data: batch.errors },
    input_file_id: batch.inputFileId,
    completion_window: '24h',
    status: batch.status,
    output_file_id: batch.outputFileId,
    error_file_id: batch.errorFileId,
    created_at: seconds(batch.createdMs),
    in_progress_at: seconds(times.in_progress),
    expires_at: seconds(batch.expiresMs),
    finalizing_at: seconds(times.finalizing),
    completed_at: seconds(times.completed),
    failed_at: seconds(times.failed),
    expired_at: seconds(times.expired),
    cancelling_at: seconds(times.cancelling),
    cancelled_at: seconds(times.cancelled),
    request_counts: { total: batch.total, ...counts },
    metadata: Object.keys(batch.metadata).length === 0 ? null : batch.metadata,
  };
}
