/** What data sources hand to the trainer. */

/** B rows of T tokens. A row may hold several packed documents; none sees another. */
export interface TokenBatch {
  rows: number;
  length: number;
  /** [B, T] */
  ids: Int32Array;
  /** Number of the document inside its row, from 0; -1 is padding. [B, T] */
  segments: Int32Array;
  /**
   * 1 where a token belongs to the answer: only these are corrupted and counted in the loss. All ones for
   * plain text; the blanks of a puzzle; null means "everything that is not padding". [B, T]
   */
  answer: Uint8Array | null;
}

/** An endless, seeded stream of batches that can be stopped and resumed exactly. */
export interface BatchSource {
  next(rows: number, length: number): TokenBatch;
  /** JSON from which `restore` goes on with the very next batch. */
  state(): unknown;
  restore(state: unknown): void;
  /** Passes over the data so far, fractional. */
  readonly epochs: number;
  /** Human words for the run log. */
  readonly description: string;
}
