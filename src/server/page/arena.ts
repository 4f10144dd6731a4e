/** `/page/arena/votes`: votes on pairs of completions are kept, listed, exported and taken back. */
import { z } from 'zod';
import { storageError } from '../accounts/storage-error.ts';
import { route } from '../deps.ts';
import type { Ctx, Route } from '../deps.ts';
import { fromZod, HttpError } from '../errors.ts';
import { body, text } from '../schema-parts.ts';
import { OUTCOMES } from './votes.ts';
import type { Vote, Votes } from './votes.ts';

const MOST_NAME = 120;
const MOST_SETTINGS = 2000;

/** One line that can be shown and written into a table. Control characters by number: Python knows no `\p{Cc}`. */
const label = text
  // eslint-disable-next-line no-control-regex -- the point of it
  .regex(/^[^\u0000-\u001f\u007f-\u009f]+$/, 'expected text without line breaks')
  .max(MOST_NAME, `expected at most ${MOST_NAME} characters`);

const voter = text.regex(/^[A-Za-z0-9_-]{16,64}$/, 'expected 16 to 64 letters, digits, _ or -');

const contestant = z.object(
  {
    name: label,
    model: label,
    settings: z
      .record(z.string(), z.unknown())
      .default({})
      .refine((given) => JSON.stringify(given).length <= MOST_SETTINGS, {
        error: `expected at most ${MOST_SETTINGS} characters of JSON`,
      }),
  },
  { error: 'expected {"name", "model", "settings"}' },
);

const voteBody = body({
  top: contestant.describe('Whose completion stood above: name, model, settings.'),
  bottom: contestant.describe('Whose stood below.'),
  outcome: z
    .enum(OUTCOMES, { error: `expected one of ${OUTCOMES.join(', ')}` })
    .describe('Which was better, or both, or neither.'),
  gap: label.default('own').describe('Name of the sample; no code is sent or kept.'),
  voter: voter.describe('A random name of the browser, by which the last vote can be taken back.'),
}).refine(({ top, bottom }) => top.name !== bottom.name, {
  error: 'expected two different names',
  path: ['bottom', 'name'],
});
type VoteBody = z.infer<typeof voteBody>;

const listQuery = z.object({
  format: z.enum(['json', 'csv'], { error: 'expected json or csv' }).default('json'),
});
const lastQuery = z.object({ voter });

/** @param open the store, opened when it is first needed */
export function arenaRoutes(open: () => Promise<Votes>): Route[] {
  const stored = <T>(ask: (votes: Votes) => Promise<T>): Promise<T> => open().then(ask).catch(storageError);
  return [
    route({
      method: 'get',
      path: '/page/arena/votes',
      tag: 'tintype',
      summary: 'Votes of the arena, oldest first: format=json or csv',
      answer: async (c: Ctx) => {
        const { format } = parsed(listQuery, c.req.query());
        const votes = await stored((votes) => votes.list());
        if (format === 'json') return c.json({ object: 'list', data: votes.map(wireVote) });
        return c.body(csvOf(votes), 200, {
          'content-type': 'text/csv; charset=utf-8',
          'content-disposition': 'attachment; filename="arena-votes.csv"',
        });
      },
    }),
    route({
      method: 'post',
      path: '/page/arena/votes',
      tag: 'tintype',
      summary: 'One vote of the arena',
      body: voteBody,
      answer: async (c: Ctx, { voter, ...vote }: VoteBody) => {
        const keyId = c.var.key?.id ?? null;
        return c.json(wireVote(await stored((votes) => votes.add(vote, { voter, keyId }, Date.now()))));
      },
    }),
    route({
      method: 'delete',
      path: '/page/arena/votes/last',
      tag: 'tintype',
      summary: 'Takes the newest vote of a voter back: voter',
      answer: async (c: Ctx) => {
        const { voter } = parsed(lastQuery, c.req.query());
        const keyId = c.var.key?.id ?? null;
        const vote = await stored((votes) => votes.removeLast({ voter, keyId }));
        if (vote !== null) return c.json({ ...wireVote(vote), deleted: true });
        throw new HttpError(404, 'there is no vote of yours to take back', { code: 'not_found' });
      },
    }),
  ];
}

function parsed<T>(schema: z.ZodType<T>, query: unknown): T {
  const result = schema.safeParse(query);
  if (result.success) return result.data;
  throw fromZod(result.error);
}

const wireVote = ({ id, createdMs, top, bottom, outcome, gap }: Vote) => ({
  object: 'vote',
  id,
  created_at: Math.floor(createdMs / 1000),
  top,
  bottom,
  outcome,
  gap,
});

const COLUMNS: readonly [string, (vote: Vote) => string][] = [
  ['id', ({ id }) => id],
  ['created_at', ({ createdMs }) => new Date(createdMs).toISOString()],
  ['top', ({ top }) => top.name],
  ['top_model', ({ top }) => top.model],
  ['top_settings', ({ top }) => JSON.stringify(top.settings)],
  ['bottom', ({ bottom }) => bottom.name],
  ['bottom_model', ({ bottom }) => bottom.model],
  ['bottom_settings', ({ bottom }) => JSON.stringify(bottom.settings)],
  ['outcome', ({ outcome }) => outcome],
  ['gap', ({ gap }) => gap],
];

/** RFC 4180. */
export function csvOf(votes: readonly Vote[]): string {
  const rows = [
    COLUMNS.map(([name]) => name),
    ...votes.map((vote) => COLUMNS.map(([, read]) => cell(read(vote)))),
  ];
  return rows.map((row) => `${row.join(',')}\r\n`).join('');
}

function cell(value: string): string {
  // Tables would compute a cell that starts so.
  const shown = /^[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}
