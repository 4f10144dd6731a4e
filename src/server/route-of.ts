/** Which route a request is for, as a name that no client makes up. */
import type { Context } from 'hono';
import { matchedRoutes } from 'hono/route';

/** Its path as it was registered; `none` where only what stands in front of all routes, or the page, has matched. */
export const routeOf = (c: Context): string =>
  matchedRoutes(c).findLast(({ path }) => !path.includes('*'))?.path ?? 'none';
