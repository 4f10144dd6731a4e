/** A store that cannot be read or written, said to a client. */
import { HttpError } from '../errors.ts';

/** The store's own word for a full disk, in SQLite and in Redis. */
const FULL = /SQLITE_FULL|ENOSPC|disk is full|OOM command not allowed|MISCONF/i;

export class StorageError extends HttpError {
  constructor(cause: unknown) {
    const text =
      cause instanceof Error
        ? `${(cause as NodeJS.ErrnoException).code ?? ''} ${cause.message}`
        : String(cause);
    const isFull = FULL.test(text);
    super(
      503,
      isFull
        ? 'the store of this server is full; nothing was billed'
        : 'the store of this server does not answer; nothing was billed',
      { code: isFull ? 'storage_full' : 'storage_unavailable' },
      5,
    );
    this.cause = cause;
  }
}

/** For `.catch`: what a store throws becomes a 503. */
export function storageError(error: unknown): never {
  throw error instanceof HttpError ? error : new StorageError(error);
}
