/**
 * Votes of the arena: in `<data folder>/arena.db`, a SQLite file of its own, or in Redis where REDIS_URL names one. Never
 * any code: only who was shown where, and who won.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openDatabase } from '../accounts/sqlite.ts';
import type { Db } from '../accounts/sqlite.ts';

export const OUTCOMES = ['top', 'bottom', 'both', 'neither'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** A model with settings, as it takes part. */
export interface Contestant {
  /** What tells it apart, for people. */
  name: string;
  model: string;
  /** What was sent beside the code. */
  settings: Record<string, unknown>;
}

/** `top` and `bottom` are where the completions stood. */
export interface NewVote {
  top: Contestant;
  bottom: Contestant;
  outcome: Outcome;
  /** Which sample; `own` for the voter's own code. */
  gap: string;
}

export interface Vote extends NewVote {
  id: string;
  createdMs: number;
}

/** Who voted: a browser's random name, and the key where the server asks for one. */
export interface Voter {
  voter: string;
  keyId: string | null;
}

export interface Votes {
  add(vote: NewVote, voter: Voter, nowMs: number): Promise<Vote>;
  /** Oldest first. */
  list(): Promise<Vote[]>;
  /** Takes the newest vote of a voter back; null when there is none. */
  removeLast(voter: Voter): Promise<Vote | null>;
  close(): Promise<void>;
}

const MIGRATIONS = [
  `CREATE TABLE votes (
     number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, voter TEXT NOT NULL, key_id TEXT,
     top TEXT NOT NULL, bottom TEXT NOT NULL, outcome TEXT NOT NULL, gap TEXT NOT NULL, created_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX votes_by_voter ON votes (voter, number);`,
];

interface Row {
  id: string;
  top: string;
  bottom: string;
  outcome: Outcome;
  gap: string;
  created_ms: number;
}

const voteOf = ({ id, top, bottom, outcome, gap, created_ms }: Row): Vote => ({
  id,
  top: JSON.parse(top) as Contestant,
  bottom: JSON.parse(bottom) as Contestant,
  outcome,
  gap,
  createdMs: created_ms,
});

/**
 * Errors: `io`; `unsupported` when Redis is asked for and its packages are not installed.
 * @param redisUrl `redis://…`; then `dir` is not used
 */
export async function openVotes(dir: string, redisUrl?: string): Promise<Votes> {
  if (redisUrl !== undefined && redisUrl !== '') {
    // Loaded here: its packages are optional.
    const { openRedisVotes } = await import('./redis-votes.ts');
    return openRedisVotes(redisUrl);
  }
  return sqliteVotes(await openDatabase(dir, join(dir, 'arena.db'), MIGRATIONS));
}

function sqliteVotes(db: Db): Votes {
  const insert = db.prepare(
    'INSERT INTO votes (id, voter, key_id, top, bottom, outcome, gap, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const list = db.prepare('SELECT * FROM votes ORDER BY number');
  const remove = db.prepare(
    `DELETE FROM votes WHERE number =
       (SELECT max(number) FROM votes WHERE voter = ? AND key_id IS ?) RETURNING *`,
  );
  return {
    async add(vote, { voter, keyId }, nowMs) {
      const id = randomUUID();
      const { top, bottom, outcome, gap } = vote;
      insert.run(id, voter, keyId, JSON.stringify(top), JSON.stringify(bottom), outcome, gap, nowMs);
      return { ...vote, id, createdMs: nowMs };
    },
    list: async () => (list.all() as Row[]).map(voteOf),
    async removeLast({ voter, keyId }) {
      const [row] = remove.all(voter, keyId) as Row[];
      return row === undefined ? null : voteOf(row);
    },
    close: async () => void db.close(),
  };
}
