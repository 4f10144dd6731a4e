/**
 * What the same transcripts would be worth on other machines, computed from a reference's times and not measured. Diffusion
 * trades forwards for rows, and what rows cost is the machine's: on two cores a row is arithmetic that is waited for, on a GPU or
 * many cores a forward reads the weights and the rows come along.
 */

/** Sums over all prompts. */
export interface Work {
  name: string;
  /** Useful ones. */
  tokens: number;
  /** The first one reads the prompt. */
  nfe: number;
  /** Until the first settled text. */
  firstMs: number;
  elapsedMs: number;
}

export interface Roofline {
  /** One token a forward. */
  reference: string;
  /** Share of the reference's time that is over when its first token comes. */
  promptShare: number;
  /** Useful tokens a second over the reference's, if only the prompt took time: no number of tokens a forward gives more. */
  most: number;
  /** The same by configuration. */
  over: Record<string, { rowsFree: number; forwardsEqual: number }>;
}

/**
 * `rowsFree`: the prompt takes what it takes the reference, and every further forward what the reference's of one row do.
 * `forwardsEqual`: the prompt too is one such forward, so that only their number counts.
 * @param prompts how many there are, the same for all
 */
export function rooflineOf(prompts: number, reference: Work, all: readonly Work[]): Roofline {
  const { tokens, nfe, firstMs, elapsedMs } = reference;
  const stepMs = (elapsedMs - firstMs) / Math.max(1, nfe - prompts);
  const over = all.map((own) => {
    const more = own.tokens / tokens;
    const freeMs = firstMs + stepMs * (own.nfe - prompts);
    return [
      own.name,
      { rowsFree: (more * elapsedMs) / freeMs, forwardsEqual: (more * nfe) / own.nfe },
    ] as const;
  });
  return {
    reference: reference.name,
    promptShare: firstMs / elapsedMs,
    most: elapsedMs / firstMs,
    over: Object.fromEntries(over),
  };
}
