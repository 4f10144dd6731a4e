/** What Tabby's agent asks beside completions (`/v1/completions` with `segments`) and `/v1/health`. */
import { route } from '../deps.ts';
import type { Route } from '../deps.ts';
import { tabbyEventBody } from '../schemas-local.ts';

export const tabbyRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/events',
    tag: 'Tabby',
    summary: 'What became of a completion in the editor: accepted, and not kept',
    body: tabbyEventBody,
    answer: (c) => c.json({}),
  }),
];
