/** Fills answers under a constraint as a careless model would: random tokens at random places, several a step. */
import { createConstraintCanvas, isAllowed } from '../../src/decode/constraints/constraint-canvas.ts';
import type { TokenAutomaton } from '../../src/decode/constraints/tokens.ts';
import type { Rng } from '../../src/rng.ts';

/** Processor time of this process: what else the machine does is not counted. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export interface FillOptions {
  budget: number;
  /** Positions denoised together. */
  blockLength: number;
  rng: Rng;
  /** How likely the text ends where it may. */
  endChance?: number;
}

export interface Filled {
  text: string;
  /** Tokens of the text, without the one that ends it. */
  tokens: number;
  forced: number;
  steps: number;
  slowestStepMs: number;
  elapsedMs: number;
}

/** @throws Error if the canvas gets stuck or contradicts itself */
export function fillRandomly(
  automaton: TokenAutomaton,
  { budget, blockLength, rng, endChance = 0.2 }: FillOptions,
): Filled {
  const canvas = createConstraintCanvas(automaton, { budget });
  const ids = new Int32Array(budget).fill(-1);
  const started = cpuMs();
  let [forced, steps, slowestStepMs] = [0, 0, 0];
  const force = (): void => {
    for (const { position, token } of canvas.commitForced()) {
      ids[position] = token;
      forced++;
    }
  };
  force();
  for (let block = 0; block < budget && !canvas.isComplete; block += blockLength) {
    const end = Math.min(budget, block + blockLength);
    while (canvas.settled < end && !canvas.isComplete) {
      const before = cpuMs();
      const masks = Array.from({ length: end - block }, (_, i) => block + i).filter((p) => ids[p] < 0);
      const chosen = masks.filter(() => rng.next() < 0.3).sort(() => rng.next() - 0.5);
      let committed = 0;
      for (const position of [...chosen, canvas.settled]) {
        if (ids[position] >= 0 || canvas.isComplete) continue;
        const mask = canvas.allowedAt(position);
        const token = pick(mask, automaton, rng, endChance);
        if (token < 0) {
          if (position === canvas.settled) throw new Error(`stuck at position ${position}`);
          continue;
        }
        if (!canvas.canCommit(position, token)) throw new Error(`allowed, yet not to be committed: ${token}`);
        canvas.commit(position, token);
        ids[position] = token;
        committed++;
      }
      force();
      if (committed === 0) throw new Error('a step without a commit');
      steps++;
      slowestStepMs = Math.max(slowestStepMs, cpuMs() - before);
    }
  }
  const ending = ids.findIndex((id) => automaton.ends.includes(id));
  const text = ids.subarray(0, ending < 0 ? budget : ending);
  if (text.includes(-1)) throw new Error('a mask inside the text');
  return {
    text: automaton.tokenizer.decode(text),
    tokens: text.length,
    forced,
    steps,
    slowestStepMs,
    elapsedMs: cpuMs() - started,
  };
}

/** A random token whose bit is set, or -1. */
function pick(mask: Uint32Array, { ends, vocabSize }: TokenAutomaton, rng: Rng, endChance: number): number {
  const end = ends.find((token) => isAllowed(mask, token));
  if (end !== undefined && rng.next() < endChance) return end;
  const from = rng.int(vocabSize);
  for (let i = 0; i < vocabSize; i++) {
    const token = (from + i) % vocabSize;
    if (isAllowed(mask, token) && !ends.includes(token)) return token;
  }
  return end ?? -1;
}
