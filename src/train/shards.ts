/**
 * Tokenised documents on disk. A folder holds
 *   meta.json      what it is (`ShardMeta`)
 *   tokens.bin     ids of all documents, end to end, uint16 or uint32, little-endian
 *   documents.bin  where each starts, and the end: documents + 1 numbers, uint64, little-endian
 *
 * The folder appears under its name only when it is complete. Token files up to 512 MB are read whole; of
 * larger ones each document is one positional read, which the system's page cache makes cheap.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { TintypeError } from '../errors.ts';

const shardMetaSchema = z.strictObject({
  format: z.literal('tintype-shards-1'),
  /** `tokenizerHash` of the tokenizer that made the ids. */
  tokenizerHash: z.string(),
  vocabSize: z.int().positive(),
  split: z.string(),
  /** SHA-256 over the texts, in order. */
  sourceHash: z.string(),
  documents: z.int().nonnegative(),
  tokens: z.int().nonnegative(),
  /** UTF-8 bytes of the texts: bits per byte need them. */
  textBytes: z.int().nonnegative(),
  tokenBytes: z.union([z.literal(2), z.literal(4)]),
});

export type ShardMeta = z.infer<typeof shardMetaSchema>;

export interface TokenShards {
  readonly meta: ShardMeta;
  readonly documents: number;
  /** Number of tokens of a document. */
  length(document: number): number;
  /** Ids of a document; read them, do not write. */
  document(document: number): Uint16Array | Uint32Array;
  close(): void;
}

const WHOLE_FILE_BYTES = 512 * 1024 * 1024;
const OFFSET_BYTES = 8;
const WRITE_TOKENS = 1 << 20;

export interface ShardWriter {
  add(ids: readonly number[]): void;
  /** Completes the folder and returns its meta; an older folder of that name is replaced. */
  finish(parts: { sourceHash: string; textBytes: number }): ShardMeta;
  /** Removes what was written. */
  abort(): void;
}

export function createShardWriter(
  dir: string,
  parts: { tokenizerHash: string; vocabSize: number; split: string },
): ShardWriter {
  const temporary = `${dir}.partial`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const tokenBytes = parts.vocabSize <= 65536 ? 2 : 4;
  const file = openSync(join(temporary, 'tokens.bin'), 'w');
  const pending = tokenBytes === 2 ? new Uint16Array(WRITE_TOKENS) : new Uint32Array(WRITE_TOKENS);
  const offsets: number[] = [0];
  let filled = 0;

  const flush = (): void => {
    writeFully(file, asBytes(pending.subarray(0, filled)));
    filled = 0;
  };
  return {
    add(ids) {
      for (const id of ids) {
        pending[filled++] = id;
        if (filled === WRITE_TOKENS) flush();
      }
      offsets.push(offsets.at(-1)! + ids.length);
    },
    finish({ sourceHash, textBytes }) {
      flush();
      fsyncSync(file);
      closeSync(file);
      writeFile(join(temporary, 'documents.bin'), asBytes(BigUint64Array.from(offsets, BigInt)));
      const meta: ShardMeta = {
        format: 'tintype-shards-1',
        ...parts,
        sourceHash,
        documents: offsets.length - 1,
        tokens: offsets.at(-1)!,
        textBytes,
        tokenBytes,
      };
      writeFile(join(temporary, 'meta.json'), Buffer.from(`${JSON.stringify(meta, null, 2)}\n`));
      replaceFolder(temporary, dir);
      return meta;
    },
    abort() {
      closeSync(file);
      rmSync(temporary, { recursive: true, force: true });
    },
  };
}

/** Puts a finished folder in the place of an older one; the older one goes only after the new one is there. */
function replaceFolder(from: string, to: string): void {
  const old = `${to}.old`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(to)) renameSync(to, old);
  renameSync(from, to);
  rmSync(old, { recursive: true, force: true });
}

/** The bytes of a typed array. Node's machines are little-endian, and so is the format. */
function asBytes(array: Uint16Array | Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function writeFully(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function writeFile(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'w');
  try {
    writeFully(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Opens a folder of shards.
 * @param tokenizerHash of the tokenizer that the ids are meant for; not checked when left out
 * @throws not_found, bad_data (another tokenizer, files that do not fit together)
 */
export function openShards(dir: string, { tokenizerHash }: { tokenizerHash?: string } = {}): TokenShards {
  const meta = readMeta(dir);
  if (tokenizerHash !== undefined && tokenizerHash !== meta.tokenizerHash) {
    throw new TintypeError('bad_data', {
      what: `The shards in ${dir} were made with another tokenizer`,
      got: meta.tokenizerHash,
      wanted: tokenizerHash,
      next: 'tokenize the corpus again with this tokenizer (tintype corpus tokenize)',
    });
  }
  const offsets = readOffsets(join(dir, 'documents.bin'), meta);
  const path = join(dir, 'tokens.bin');
  const sizeBytes = requireSize(path, meta.tokens * meta.tokenBytes);
  const Ids = meta.tokenBytes === 2 ? Uint16Array : Uint32Array;
  const file = openSync(path, 'r');
  const whole = sizeBytes <= WHOLE_FILE_BYTES ? new Ids(meta.tokens) : null;
  if (whole !== null) readFully(file, asBytes(whole), 0);

  return {
    meta,
    documents: meta.documents,
    length: (document) => offsets[document + 1] - offsets[document],
    document(document) {
      const [start, end] = [offsets[document], offsets[document + 1]];
      if (whole !== null) return whole.subarray(start, end);
      const ids = new Ids(end - start);
      readFully(file, asBytes(ids), start * meta.tokenBytes);
      return ids;
    },
    close: () => closeSync(file),
  };
}

function readMeta(dir: string): ShardMeta {
  const path = join(dir, 'meta.json');
  if (!existsSync(path)) {
    throw new TintypeError('not_found', {
      what: 'No tokenised shards here',
      got: dir,
      wanted: 'a folder with meta.json, tokens.bin and documents.bin',
      next: 'make one with tintype corpus tokenize',
    });
  }
  try {
    return shardMetaSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new TintypeError('bad_data', {
      what: 'The meta.json of these shards cannot be used',
      got: cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message,
      next: 'tokenize the corpus again',
      cause,
    });
  }
}

function readOffsets(path: string, meta: ShardMeta): number[] {
  requireSize(path, (meta.documents + 1) * OFFSET_BYTES);
  const bytes = readFileSync(path);
  const offsets = Array.from({ length: meta.documents + 1 }, (_, i) =>
    Number(bytes.readBigUInt64LE(i * OFFSET_BYTES)),
  );
  const ascending = offsets.every((offset, i) => i === 0 || offset >= offsets[i - 1]);
  if (ascending && offsets[0] === 0 && offsets.at(-1) === meta.tokens) return offsets;
  throw new TintypeError('bad_data', {
    what: `The document offsets in ${path} do not fit its meta.json`,
    next: 'tokenize the corpus again',
  });
}

/** Size of a file, which must be what the meta says. */
function requireSize(path: string, wantedBytes: number): number {
  const sizeBytes = existsSync(path) ? statSync(path).size : 0;
  if (sizeBytes === wantedBytes) return sizeBytes;
  throw new TintypeError('bad_data', {
    what: `${path} is not as long as its meta.json says`,
    got: `${sizeBytes} bytes`,
    wanted: `${wantedBytes} bytes`,
    next: 'tokenize the corpus again',
  });
}

function readFully(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) {
    const got = readSync(file, bytes, at, Math.min(bytes.length - at, 1 << 30), position + at);
    if (got === 0) throw new TintypeError('io', { what: 'A shard ended early while it was read' });
    at += got;
  }
}
