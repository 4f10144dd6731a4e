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

/** @param dataDir where votes are kept  @param runsDir folder with the folders of training runs */
export function pageParts({ dataDir, runsDir }: { dataDir: string; runsDir: string }): PageParts {
  let opening: Promise<Votes> | null = null;
  const votes = (): Promise<Votes> => {
    opening ??= openVotes(dataDir).catch((error: unknown) => {
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
      store?.close();
    },
  };
}
