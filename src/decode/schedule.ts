/**
 * Who decodes next. Requests of one lane (a model) share forwards up to `mostTogether`; beyond that, and where the
 * memory for their caches would not suffice, they wait. Owners take turns, each owner's requests go in the order in
 * which they came, and nobody is overtaken for being large.
 */
import { TintypeError } from '../errors.ts';

export interface Turn {
  lane: string;
  owner: string;
  /** Memory that it needs while it runs, an upper bound. */
  costBytes: number;
}

export interface Schedule {
  /**
   * Resolves when it is this request's turn, with what to call when it is over.
   * @throws aborted when the signal comes first
   */
  enter(turn: Turn, signal: AbortSignal): Promise<() => void>;
  readonly running: number;
  readonly waiting: number;
}

interface Entry extends Turn {
  start: () => void;
}

export function createSchedule({
  mostTogether,
  maxBytes,
  onStart = () => {},
}: {
  /** Of a lane. */
  mostTogether: (lane: string) => number;
  maxBytes: number;
  /** One more runs. */
  onStart?: () => void;
}): Schedule {
  const running = new Set<Entry>();
  let waiting: Entry[] = [];

  const usedBytes = (): number => [...running].reduce((sum, { costBytes }) => sum + costBytes, 0);
  const runningOf = (field: 'lane' | 'owner', value: string): number =>
    [...running].filter((entry) => entry[field] === value).length;

  /** Among those whose lane has room, the first of the owner who has least running. */
  function next(): Entry | null {
    let best: Entry | null = null;
    let fewest = Infinity;
    for (const entry of waiting) {
      if (runningOf('lane', entry.lane) >= mostTogether(entry.lane)) continue;
      const own = runningOf('owner', entry.owner);
      if (own < fewest) [best, fewest] = [entry, own];
    }
    return best;
  }

  function advance(): void {
    for (let entry = next(); entry !== null; entry = next()) {
      // What is larger than all memory for caches runs alone.
      if (running.size > 0 && usedBytes() + entry.costBytes > maxBytes) return;
      waiting = waiting.filter((each) => each !== entry);
      running.add(entry);
      entry.start();
      onStart();
    }
  }

  return {
    enter(turn, signal) {
      return new Promise((resolve, reject) => {
        const giveUp = (): void => {
          waiting = waiting.filter((each) => each !== entry);
          reject(new TintypeError('aborted', { what: 'the request was given up' }));
          advance();
        };
        const leave = (): void => {
          if (running.delete(entry)) advance();
        };
        const entry: Entry = {
          ...turn,
          start: () => {
            signal.removeEventListener('abort', giveUp);
            resolve(leave);
          },
        };
        if (signal.aborted) return giveUp();
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.push(entry);
        advance();
      });
    },
    get running() {
      return running.size;
    },
    get waiting() {
      return waiting.length;
    },
  };
}
