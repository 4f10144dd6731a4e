/** Votes in Redis, where several servers share them: a hash by id, and for each voter a list of ids, newest last. */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { connectRedis, name } from '../accounts/redis-client.ts';
import type { Vote, Voter, Votes } from './votes.ts';

const VOTES = name('votes');
const NUMBER = name('votes', 'number');
const ofVoter = ({ voter, keyId }: Voter): string => name('votes', 'of', keyId ?? '', voter);

/** Numbers are for the order alone. */
interface Stored {
  number: number;
  vote: Vote;
}

/** Takes the newest vote of a voter out, as one step. */
const REMOVE = `
  local id = redis.call('RPOP', KEYS[2])
  if not id then return nil end
  local vote = redis.call('HGET', KEYS[1], id)
  redis.call('HDEL', KEYS[1], id)
  return vote`;

/** Errors: `unsupported` without ioredis; `io` when Redis does not answer. */
export async function openRedisVotes(url: string): Promise<Votes> {
  return redisVotes(await connectRedis(url));
}

function redisVotes(redis: Redis): Votes {
  return {
    async add(given, voter, nowMs) {
      const vote: Vote = { ...given, id: randomUUID(), createdMs: nowMs };
      const stored: Stored = { number: await redis.incr(NUMBER), vote };
      const answers = await redis
        .multi()
        .hset(VOTES, vote.id, JSON.stringify(stored))
        .rpush(ofVoter(voter), vote.id)
        .exec();
      const failed = answers?.find(([error]) => error !== null)?.[0];
      if (failed) throw failed;
      return vote;
    },
    async list() {
      const all = (await redis.hvals(VOTES)).map((text) => JSON.parse(text) as Stored);
      return all.sort((a, b) => a.number - b.number).map(({ vote }) => vote);
    },
    async removeLast(voter) {
      const text = (await redis.eval(REMOVE, 2, VOTES, ofVoter(voter))) as string | null;
      return text === null ? null : (JSON.parse(text) as Stored).vote;
    },
    async close() {
      await redis.quit();
    },
  };
}
