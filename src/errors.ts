/**
 * One error type for everything that a user can cause or mend. It says what went wrong, what was got,
 * what was wanted and what to try next, and carries a code that scripts and HTTP clients can rely on.
 */

/** Stable error codes. Their prefix says whose fault it is: `bad_*` is input, the rest is circumstance. */
export type ErrorCode =
  | 'bad_option'
  | 'bad_config'
  | 'bad_checkpoint'
  | 'bad_tokenizer'
  | 'bad_template'
  | 'bad_data'
  | 'bad_cursor'
  | 'bad_request'
  | 'prompt_too_long'
  | 'overloaded'
  | 'unsupported'
  | 'not_found'
  | 'not_enough_memory'
  | 'not_allowed'
  | 'diverged'
  | 'io'
  | 'aborted';

export interface ErrorParts {
  /** What the reader should know first: one sentence, no period needed. */
  what: string;
  /** What was found. */
  got?: string | undefined;
  /** What would have been right. */
  wanted?: string | undefined;
  /** The next thing to try, as an imperative. */
  next?: string | undefined;
  cause?: unknown;
}

/** Exit statuses: 2 for input the user can mend (as `getopt` programs do), 130 for Ctrl-C, else 1. */
const EXIT_STATUS: Partial<Record<ErrorCode, number>> = {
  bad_option: 2,
  bad_config: 2,
  bad_checkpoint: 2,
  bad_tokenizer: 2,
  bad_template: 2,
  bad_data: 2,
  bad_cursor: 2,
  bad_request: 2,
  prompt_too_long: 2,
  not_found: 2,
  aborted: 130,
};

export class TintypeError extends Error {
  readonly code: ErrorCode;
  readonly parts: ErrorParts;

  constructor(code: ErrorCode, parts: ErrorParts) {
    const lines = [parts.what];
    if (parts.got !== undefined) lines.push(`  got:    ${parts.got}`);
    if (parts.wanted !== undefined) lines.push(`  wanted: ${parts.wanted}`);
    if (parts.next !== undefined) lines.push(`  try:    ${parts.next}`);
    super(lines.join('\n'), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'TintypeError';
    this.code = code;
    this.parts = parts;
  }

  /** Status with which the command line ends. */
  get exitStatus(): number {
    return EXIT_STATUS[this.code] ?? 1;
  }

  toJSON(): { error: { code: ErrorCode } & Omit<ErrorParts, 'cause'> } {
    const { what, got, wanted, next } = this.parts;
    return { error: { code: this.code, what, got, wanted, next } };
  }
}

/** Asserts an internal invariant. What a user can cause throws a `TintypeError` instead. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message}`);
}
