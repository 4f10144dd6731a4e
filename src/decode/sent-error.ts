/** An error on its way between threads; classes do not survive the trip. */
import { TintypeError } from '../errors.ts';
import type { ErrorCode, ErrorParts } from '../errors.ts';

export interface SentError {
  code: ErrorCode | null;
  parts: ErrorParts;
}

export function sentError(error: unknown): SentError {
  if (!(error instanceof TintypeError)) {
    return { code: null, parts: { what: error instanceof Error ? error.message : String(error) } };
  }
  const { cause: _, ...parts } = error.parts;
  return { code: error.code, parts };
}

export const receivedError = ({ code, parts }: SentError): Error =>
  code === null ? new Error(parts.what) : new TintypeError(code, parts);
