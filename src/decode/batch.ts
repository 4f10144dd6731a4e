/**
 * Several runs of the loop, one forward. Each run gets a denoiser of its own that looks like any other; what they ask is
 * gathered until every run that is under way is waiting, and then answered by one call of the real one. So runs join
 * and leave between forwards, whatever their lengths, policies and seeds, and none of them notices the others: the
 * result of a run does not depend on its neighbours (`Denoiser.forward`).
 */
import type { Denoiser, ForwardRun, Statistics, StatisticsRequest } from '../model/denoiser.ts';

export interface Batch {
  /** A run begins. Every member is waited for until it leaves. */
  join(): Denoiser;
  /** It ends, or computes something else for a while. */
  leave(member: Denoiser): void;
  /** Runs under way. */
  readonly size: number;
}

interface Question {
  runs: readonly ForwardRun[];
  want: StatisticsRequest;
  resolve: (statistics: Statistics[]) => void;
  reject: (error: unknown) => void;
}

export function createBatch(denoiser: Denoiser): Batch {
  const members = new Set<Denoiser>();
  let waiting: Question[] = [];
  let running = false;

  async function flush(): Promise<void> {
    if (running || waiting.length === 0 || waiting.length < members.size) return;
    running = true;
    const questions = waiting;
    waiting = [];
    for (const group of alike(questions)) await answer(group);
    running = false;
    void flush();
  }

  async function answer(group: Question[]): Promise<void> {
    try {
      const runs = group.flatMap((question) => question.runs);
      const all = await denoiser.forward(runs, joined(group, denoiser.config.vocabSize));
      let at = 0;
      for (const question of group) {
        const own = all.slice(at, (at += question.runs.length));
        question.resolve(own.map((statistics) => narrowed(statistics, question.want)));
      }
    } catch (error) {
      if (group.length === 1) return group[0].reject(error);
      // One of them is at fault; asked alone, the others still get their answer.
      for (const question of group) await answer([question]);
    }
  }

  return {
    join() {
      const member: Denoiser = {
        ...denoiser,
        forward: (runs, want) =>
          new Promise((resolve, reject) => {
            waiting.push({ runs, want, resolve, reject });
            void flush();
          }),
      };
      members.add(member);
      return member;
    },
    leave(member) {
      members.delete(member);
      void flush();
    },
    get size() {
      return members.size;
    },
  };
}

/** One forward has one temperature, and draws at one or not at all. */
function alike(questions: readonly Question[]): Question[][] {
  const groups = new Map<string, Question[]>();
  for (const question of questions) {
    const { sample, logitTemperature } = question.want;
    const key = `${sample?.temperature} ${logitTemperature}`;
    groups.set(key, [...(groups.get(key) ?? []), question]);
  }
  return [...groups.values()];
}

const rowsOf = ({ runs }: Question): number => runs.reduce((sum, { query }) => sum + query.length, 0);

/** A request that answers all of them. Whoever only writes keys may bring numbers for a row that it does not ask about. */
function joined(group: readonly Question[], vocabSize: number): StatisticsRequest {
  const rows = group.map(rowsOf);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const want: StatisticsRequest = {
    topK: Math.max(...group.map((question) => question.want.topK)),
    entropy: group.some((question) => question.want.entropy),
    logitTemperature: group[0].want.logitTemperature,
    expected: group.some((question) => question.want.expected),
  };
  const sample = group[0].want.sample;
  if (sample) {
    const uniforms = new Float32Array(total);
    let at = 0;
    for (const [i, question] of group.entries()) {
      uniforms.set(question.want.sample!.uniforms.subarray(0, rows[i]), at);
      at += rows[i];
    }
    want.sample = { temperature: sample.temperature, uniforms };
  }
  if (group.some((question) => question.want.logitBias)) {
    want.logitBias = new Float32Array(total * vocabSize);
    let at = 0;
    for (const [i, question] of group.entries()) {
      const own = question.want.logitBias?.subarray(0, rows[i] * vocabSize);
      if (own) want.logitBias.set(own, at * vocabSize);
      at += rows[i];
    }
  }
  return want;
}

/** The first `topK` candidates of each row, as if only they had been asked for. */
function narrowed(statistics: Statistics, { topK, entropy }: StatisticsRequest): Statistics {
  const M = statistics.logSumExp.length;
  const k = M > 0 ? statistics.ids.length / M : topK;
  const own = entropy ? statistics : { ...statistics, entropy: statistics.entropy.subarray(0, 0) };
  if (k === topK) return own;
  const ids = new Int32Array(M * topK);
  const logits = new Float32Array(M * topK);
  for (let row = 0; row < M; row++) {
    ids.set(statistics.ids.subarray(row * k, row * k + topK), row * topK);
    logits.set(statistics.logits.subarray(row * k, row * k + topK), row * topK);
  }
  return { ...own, ids, logits };
}
