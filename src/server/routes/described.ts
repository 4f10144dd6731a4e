/** All routes that a server may have, to be described: those of accounts and batches too, which need a store to run. */
import { usageRoute } from '../accounts/usage-route.ts';
import { batchRoutes } from '../batches/routes.ts';
import type { Route } from '../deps.ts';
import { ROUTES } from './index.ts';

const none = {} as never;

export const DESCRIBED: readonly Route[] = [...ROUTES, usageRoute(none, none), ...batchRoutes(none)];
