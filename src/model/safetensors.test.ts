import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  bytesFromFloats,
  createHeader,
  type Dtype,
  DTYPE_BYTES,
  floatsFromBytes,
  parseSafetensors,
  safetensorsChunks,
} from './safetensors.ts';

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../fixtures/checkpoints/${name}`, import.meta.url)));

/** A file from a header's JSON (or any text) and its data. */
function file(header: unknown, dataBytes: number): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

function rewrite(bytes: Uint8Array): Uint8Array {
  const { header, tensors } = parseSafetensors(bytes);
  return new Uint8Array(
    Buffer.concat([...safetensorsChunks(header, ({ name }) => tensors.get(name)!.bytes)]),
  );
}

describe('round trip', () => {
  test.each(['ar-qwen3/model', 'ar-qwen3/golden', 'sdar/model', 'sdar/golden'])(
    '%s, byte for byte',
    (name) => {
      const bytes = fixture(`${name}.safetensors`);
      expect(Buffer.compare(rewrite(bytes), bytes)).toBe(0);
    },
  );

  test.each(['ar-qwen3/model', 'sdar/golden'])('createHeader writes %s as its first writer did', (name) => {
    const { header } = parseSafetensors(fixture(`${name}.safetensors`));
    const shuffled = [...header.entries].reverse();
    expect(createHeader(shuffled, header.metadata)).toEqual(header);
  });

  test('foreign header order, spacing, padding and metadata are kept', () => {
    const text = `{ "b": {"shape": [2], "data_offsets": [4, 8], "dtype": "BF16"},\n "__metadata__": {"π": "\\u00e9"},
      "1": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, "void": {"dtype":"U8","shape":[3,0],"data_offsets":[8,8]} }       `;
    const bytes = new Uint8Array(file(text, 8)).map((byte, i, all) => (i >= all.length - 8 ? i % 251 : byte));
    const { header } = parseSafetensors(bytes);
    expect(header.entries.map(({ name }) => name)).toEqual(['1', 'b', 'void']);
    expect(header.metadata).toEqual({ π: 'é' });
    expect(rewrite(bytes)).toEqual(bytes);
  });

  test('any tensors come back as they went in, at offsets that are multiples of eight', () => {
    const tensor = fc.record({
      dtype: fc.constantFrom(...(Object.keys(DTYPE_BYTES) as Dtype[])),
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    });
    // `__metadata__` is the format's own key, `__proto__` a name no object spread keeps.
    const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((s) => !s.startsWith('__'));
    fc.assert(
      fc.property(
        fc.dictionary(name, tensor),
        fc.dictionary(name, fc.string()),
        fc.nat(),
        (tensors, metadata, salt) => {
          const list = Object.entries(tensors).map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
          const header = createHeader(list, metadata);
          const contents = new Map(
            header.entries.map(({ name, begin, end }) => {
              return [name, Uint8Array.from({ length: end - begin }, (_, i) => (begin + i) * salt)];
            }),
          );
          const bytes = new Uint8Array(
            Buffer.concat([...safetensorsChunks(header, ({ name }) => contents.get(name)!)]),
          );
          const read = parseSafetensors(bytes);
          expect(read.header).toEqual(header);
          expect(new Map([...read.tensors].map(([name, { bytes }]) => [name, bytes]))).toEqual(contents);
          const dataBytes = header.entries.at(-1)?.end ?? 0;
          expect((bytes.length - dataBytes) % 8).toBe(0);
        },
      ),
    );
  });

  test.each(['F32', 'F16', 'BF16'] as const)('%s to numbers and back, from any offset', (dtype) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3), (random, offset) => {
        const length = random.length - (random.length % 4);
        const buffer = new Uint8Array(length + offset);
        buffer.set(random.subarray(0, length), offset);
        const bytes = buffer.subarray(offset);
        expect(bytesFromFloats(dtype, floatsFromBytes(dtype, bytes))).toEqual(bytes);
      }),
    );
  });
});

describe('what is wrong is said', () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]): object => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });
  const cases: [string, Uint8Array, RegExp][] = [
    ['an empty file', new Uint8Array(0), /got: {4}0 bytes/],
    ['seven bytes', new Uint8Array(7), /at least 8 bytes/],
    ['a header longer than the file', file({ a: f32(0, 4) }, 4).slice(0, 30), /cut short/],
    ['a header beyond the limit', Uint8Array.from([0, 0, 0, 0, 1, 0, 0, 0]), /4294967296 bytes/],
    ['a header that is text', file('tensors', 0), /not JSON/],
    ['a header that is not UTF-8', file('{"a', 0).map((byte, i) => (i === 10 ? 0xff : byte)), /not JSON/],
    ['a header that is a list', file('[]', 0), /not a JSON object/],
    ['metadata that is a number', file({ __metadata__: { n: 1 } }, 0), /__metadata__/],
    ['an entry that is a number', file({ a: 1 }, 0), /a described by 1/],
    ['an unknown dtype', file({ a: { ...f32(0, 4), dtype: 'F31' } }, 4), /"F31"[^]*F32/],
    ['a dtype from the prototype', file({ a: { ...f32(0, 4), dtype: 'toString' } }, 4), /"toString"/],
    ['a negative size', file({ a: f32(0, 4, [-1]) }, 4), /shape \[-1\]/],
    ['offsets the wrong way', file({ a: f32(4, 0, [1]) }, 4), /data_offsets \[4,0\]/],
    ['three offsets', file({ a: { ...f32(0, 4), data_offsets: [0, 4, 8] } }, 4), /data_offsets/],
    ['a shape of another size', file({ a: f32(0, 4, [2]) }, 4), /a in 4 bytes[^]*8 bytes for F32 \[2\]/],
    ['overlapping tensors', file({ a: f32(0, 8), b: f32(4, 12) }, 12), /b at bytes 4 to 12, which overlaps/],
    ['a hole', file({ a: f32(0, 4), b: f32(8, 12) }, 12), /b at bytes 8 to 12, which leaves a hole/],
    ['a hole at the start', file({ a: f32(4, 8) }, 8), /a start at byte 0/],
    ['a truncated file', file({ a: f32(0, 8) }, 7), /7 bytes of tensors: the file is cut short/],
    ['bytes left over', file({ a: f32(0, 8) }, 9), /the file is too long/],
    [
      'two tensors of one name',
      file(`{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(0, 4))}}`, 4),
      /two tensors named a/,
    ],
  ];
  test.each(cases)('%s', (_, bytes, message) => {
    expect(() => parseSafetensors(bytes, 'x.safetensors')).toThrow(message);
    expect(() => parseSafetensors(bytes, 'x.safetensors')).toThrow(
      expect.objectContaining({ code: 'bad_checkpoint', message: expect.stringContaining('x.safetensors') }),
    );
  });
});
