/** `/page/runs`: training runs and their logs, for the dashboard. */
import { z } from 'zod';
import { route } from '../deps.ts';
import type { Ctx, Route } from '../deps.ts';
import { fromZod, HttpError } from '../errors.ts';
import { listRuns, readLog } from './run-logs.ts';

const query = z.object({
  run: z.string({ error: 'expected a run, as GET /page/runs lists it' }),
  offset: z.coerce
    .number({ error: 'expected a whole number' })
    .int('expected a whole number')
    .min(0, 'expected at least 0')
    .default(0),
});

/** @param root folder that holds the folders of runs */
export const runRoutes = (root: string): Route[] => [
  route({
    method: 'get',
    path: '/page/runs',
    tag: 'tintype',
    summary: 'Training runs below the folder of --runs, the one written last first',
    answer: async (c: Ctx) => {
      const runs = await listRuns(root);
      const data = runs.map(({ id, sizeBytes, changedMs }) => ({
        object: 'run',
        id,
        size_bytes: sizeBytes,
        changed_at: changedMs / 1000,
      }));
      return c.json({ object: 'list', now: Date.now() / 1000, data });
    },
  }),
  route({
    method: 'get',
    path: '/page/runs/log',
    tag: 'tintype',
    summary: 'Whole lines of the log of a run, from a byte on: run, offset',
    answer: async (c: Ctx) => {
      const asked = query.safeParse(c.req.query());
      if (!asked.success) throw fromZod(asked.error);
      const piece = await readLog(root, asked.data.run, asked.data.offset);
      if (piece !== null) return c.json({ object: 'run.log', ...piece });
      throw new HttpError(404, 'there is no such run; GET /page/runs lists those that are there', {
        param: 'run',
        code: 'not_found',
      });
    },
  }),
];
