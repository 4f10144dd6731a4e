/** Errors on the wire, in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`. */
import type { z } from 'zod';
import { TintypeError } from '../errors.ts';

export interface WireError {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** 499 is what proxies log for a client that left before its answer; nobody receives it. */
const TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'account_error',
  403: 'permission_error',
  404: 'invalid_request_error',
  405: 'invalid_request_error',
  408: 'invalid_request_error',
  409: 'invalid_request_error',
  413: 'invalid_request_error',
  429: 'rate_limit_error',
  431: 'invalid_request_error',
  499: 'client_closed_request',
  500: 'server_error',
  502: 'upstream_error',
  503: 'overloaded',
  504: 'upstream_error',
} as const;

export type ErrorStatus = keyof typeof TYPES;

/** Characters of a message. Names of fields and patterns come from clients and may be megabytes. */
const MOST_WORDS = 1000;

/** A refusal that carries its own answer. */
export class HttpError extends Error {
  readonly status: ErrorStatus;
  readonly body: WireError;
  /** Seconds after which it makes sense to ask again. */
  readonly retryAfter: number | null;

  constructor(
    status: ErrorStatus,
    message: string,
    { param = null, code = null }: Partial<WireError['error']> = {},
    retryAfter: number | null = null,
  ) {
    super(message.length > MOST_WORDS ? `${message.slice(0, MOST_WORDS)} …` : message);
    this.name = 'HttpError';
    this.status = status;
    this.retryAfter = retryAfter;
    this.body = { error: { message: this.message, type: TYPES[status], param, code } };
  }
}

/** What the schema refused, by the name of the parameter. Values are never quoted: they may be huge or private. */
export function fromZod(error: z.ZodError): HttpError {
  const issue = deepest(error.issues[0]);
  const at = issue.path.join('.');
  return new HttpError(400, at === '' ? issue.message : `${at}: ${issue.message}`, {
    param: at === '' ? null : String(issue.path[0]),
    code: 'invalid_value',
  });
}

/** Of alternatives that all fail, the one that came furthest says most. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  // A key of a record, by what is wrong with it.
  if (issue.code === 'invalid_key') return { ...issue, message: issue.issues[0].message };
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors
    .flat()
    .map(deepest)
    .filter(({ path }) => path.length > 0);
  if (inner.length === 0) return issue;
  const [best] = inner.sort((a, b) => b.path.length - a.path.length);
  return { ...best, path: [...issue.path, ...best.path] };
}

const LEFT = new HttpError(499, 'the client closed the connection', { code: 'client_closed_request' });

/** The answer to any error. Only known errors show their words; the rest is for the log. */
export function toHttpError(error: unknown, clientLeft: boolean): HttpError {
  if (error instanceof HttpError) return error;
  // In the middle of its body.
  if (clientLeft && error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return LEFT;
  if (error instanceof TintypeError) {
    const message = error.message;
    switch (error.code) {
      case 'prompt_too_long':
        return new HttpError(400, message, { param: 'prompt', code: 'context_length_exceeded' });
      case 'overloaded':
        return new HttpError(503, message, { code: 'overloaded' }, 1);
      case 'bad_request':
      case 'bad_option':
      case 'bad_template':
      case 'unsupported':
        return new HttpError(400, message, { code: error.code });
      case 'aborted':
        return clientLeft
          ? LEFT
          : new HttpError(503, 'the server is shutting down', { code: 'shutting_down' }, 5);
      default:
    }
  }
  return new HttpError(500, 'something broke inside the server; its log has the details', {
    code: 'internal_error',
  });
}
