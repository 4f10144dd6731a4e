/** All routes that a server may have, to be described: also those that need a store or a folder to run. */
import { usageRoute } from '../accounts/usage-route.ts';
import { batchRoutes } from '../batches/routes.ts';
import type { Route } from '../deps.ts';
import { arenaRoutes } from '../page/arena.ts';
import { runRoutes } from '../page/runs.ts';
import { ROUTES } from './index.ts';

const none = {} as never;

export const DESCRIBED: readonly Route[] = [
  ...ROUTES,
  usageRoute(none, none),
  ...batchRoutes(none),
  ...arenaRoutes(none),
  ...runRoutes(none),
];
