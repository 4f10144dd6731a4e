/** What the page asks for beyond the API: its own routes, and the stores that they open when first asked. */
import type { Route } from '../deps.ts';
import { arenaRoutes } from './arena.ts';
import { runRoutes } from './runs.ts';
import { openVotes } from './votes.ts';
import type { Votes } from './votes.ts';

export interface PageParts {
  routes: Route[];
  close(): Promise<void>;
}

export interface PageOptions {
  /** Where votes are kept. */
  dataDir: string;
  /** `redis://…`; then votes are kept there. */
  redisUrl?: string | undefined;
  /** Folder with the folders of training runs. */
  runsDir: string;
}

export function pageParts({ dataDir, redisUrl, runsDir }: PageOptions): PageParts {
  let opening: Promise<Votes> | null = null;
  const votes = (): Promise<Votes> => {
    opening ??= openVotes(dataDir, redisUrl).catch((error: unknown) => {
      // The folder may be mended while the server runs.
      opening = null;
      throw error;
    });
    return opening;
  };
  return {
    routes: [...arenaRoutes(votes), ...runRoutes(runsDir)],
    async close() {
      const store = await opening?.catch(() => null);
      await store?.close();
    },
  };
}
