/** Quantised weights stand for numbers near the originals, and products with them are products with those numbers. */
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../tests/tiny.ts';
import { Graph } from '../graph/graph.ts';
import { nodeRuntime } from '../graph/node.ts';
import { asBytes, linearNBits, linearRows, saturates } from '../graph/quantized.ts';
import { createSession, type Runtime } from '../graph/session.ts';
import { createRng } from '../rng.ts';
import { asColumns, dequantize, inBlocks, quantize, quantizedFormats, type BlockFormat } from './quantize.ts';

const rng = createRng(5);
const random = (length: number): Float32Array => Float32Array.from({ length }, () => rng.normal());

describe.each<BlockFormat>([
  { bits: 8, block: 64 },
  { bits: 8, block: 16 },
  { bits: 4, block: 32 },
  { bits: 4, block: 16 },
])('$bits bits in blocks of $block', ({ bits, block }) => {
  // The last block of a row is not full.
  const [N, K, M] = [24, 2 * block + 16, 3];
  const data = random(N * K);
  data.fill(0, K, K + block);
  const quantized = quantize(data, [N, K], { bits, block });
  const restored = dequantize(quantized);

  it('are within half a step, zeros exact', () => {
    data.forEach((x, i) => {
      const scale = Math.abs(
        quantized.scales[Math.floor(i / K) * Math.ceil(K / block) + Math.floor((i % K) / block)],
      );
      // 4 bits clip the largest a little where that serves the rest.
      expect(Math.abs(x - restored[i])).toBeLessThanOrEqual((bits === 8 ? 0.51 : 1.61) * scale);
    });
    expect(restored.subarray(K, K + block).every((x) => x === 0)).toBe(true);
  });

  it('quantise again to themselves', () => {
    if (bits === 8) expect(dequantize(quantize(restored, [N, K], { bits, block }))).toEqual(restored);
  });

  it('multiply as the numbers they stand for, up to the rounding of activations', async () => {
    const { Tensor } = await nodeRuntime();
    const graph = new Graph();
    const blocks = Math.ceil(K / block);
    const y = linearNBits(graph.input('x', 'float32', [M, K]), {
      packed: graph.constant('w', quantized.packed, [N, blocks, (block * bits) / 8]),
      scales: graph.constant('s', quantized.scales, [N, blocks]),
      columns: K,
      bits,
      block,
    });
    graph.output('y', y);
    const session = await createSession(await nodeRuntime(), graph, { threads: 1 });
    const x = random(M * K);
    const got = (await session.run({ x: new Tensor('float32', x, [M, K]) })).y.data as Float32Array;
    for (let m = 0; m < M; m++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += x[m * K + k] * restored[n * K + k];
        // Activations of size 1 to 3 in steps of 1/127 of the largest, K of them, rounded independently.
        expect(Math.abs(got[m * N + n] - sum)).toBeLessThan(0.05 * Math.sqrt(K));
      }
    }
    await session.close();
  });
});

describe('8 bits with a scale for each row', () => {
  const [N, K, M] = [24, 80, 5];
  const data = random(N * K);
  data.fill(0, 0, K);
  const quantized = quantize(data, [N, K], { bits: 8, block: K });
  /** Rows of all sizes, with one of zeros and one of equal numbers, of which sums are the largest there are. */
  const x = random(M * K).map((each, i) => each * 10 ** (Math.floor(i / K) - 2));
  x.fill(0, K, 2 * K);
  x.fill(3, 2 * K, 3 * K);

  const product = async (rows: Float32Array): Promise<Float32Array> => {
    const runtime = await nodeRuntime();
    const graph = new Graph();
    const y = linearRows(asBytes(graph.input('x', 'float32', ['M', K])), {
      weights: graph.constant('w', asColumns(quantized), [K, N]),
      scales: graph.constant('s', quantized.scales, [N]),
    });
    graph.output('y', y);
    const session = await createSession(runtime, graph, { threads: 1 });
    const feeds = { x: new runtime.Tensor('float32', rows, [rows.length / K, K]) };
    const { y: out } = await session.run(feeds);
    await session.close();
    return out.data as Float32Array;
  };

  it('multiplies bytes exactly, and both scales afterwards', async () => {
    const got = await product(x);
    for (let m = 0; m < M; m++) {
      const row = x.subarray(m * K, (m + 1) * K);
      const most = row.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      for (let n = 0; n < N; n++) {
        const weights = quantized.packed.subarray(n * K, (n + 1) * K);
        const bytes = row.map((each) => (most === 0 ? 0 : Math.round((each / most) * 127)));
        const sum = bytes.reduce((sum, each, k) => sum + each * (weights[k] - 128), 0);
        const wanted = (sum * quantized.scales[n] * most) / 127;
        // Ties may round to the other side.
        expect(Math.abs(got[m * N + n] - wanted)).toBeLessThanOrEqual(
          Math.abs(wanted) * 1e-5 + (2 * most * 128 * quantized.scales[n]) / 127,
        );
      }
    }
    expect(got.subarray(N, 2 * N).every((each) => each === 0)).toBe(true);
  });

  it('gives a row the same bits whatever stands beside it', async () => {
    const together = await product(x);
    for (let m = 0; m < M; m++)
      expect(together.slice(m * N, (m + 1) * N)).toEqual(await product(x.slice(m * K, (m + 1) * K)));
  });

  it('tells a machine whose products of bytes saturate', async () => {
    const runtime = await nodeRuntime();
    const create = (y: number): Runtime => ({
      Tensor: runtime.Tensor,
      InferenceSession: {
        create: async () => ({
          inputNames: ['x'],
          outputNames: ['y'],
          run: async () => ({ y: { data: Float32Array.of(y) } }),
          release: async () => {},
        }),
      } as unknown as Runtime['InferenceSession'],
    });
    expect(await saturates(create(64 * 127))).toBe(false);
    // Half of what it should be: each pair of 255 · 127 was cut at 32767.
    expect(await saturates(create((32 * 32767) / 127 - 64 * 128))).toBe(true);
  });

  it('stands for the same numbers in blocks', () => {
    const blocks = inBlocks(quantized);
    expect(blocks.block).toBe(64);
    expect(dequantize(blocks)).toEqual(dequantize(quantized));
  });
});

describe('formats', () => {
  it('leave embedding and norms alone and give a tied head 8 bits of its own', () => {
    const config = { ...tinyConfig('full'), headDim: 16 };
    const formats = quantizedFormats(config, 'int4');
    expect(formats.get('lm_head.weight')).toMatchObject({ source: 'model.embed_tokens.weight', bits: 8 });
    expect(formats.get('model.layers.0.mlp.up_proj.weight')).toMatchObject({ bits: 4 });
    expect(formats.get('model.layers.0.self_attn.o_proj.weight')).toMatchObject({ bits: 4, block: 16 });
    expect([...formats.keys()].some((name) => name.includes('norm') || name.includes('embed'))).toBe(false);
    expect(quantizedFormats(config, 'f32').size).toBe(0);
  });

  it('never let a block of the output matrix span two heads', () => {
    const config = tinyConfig('full');
    expect(config.headDim).toBe(8);
    const name = 'model.layers.0.self_attn.o_proj.weight';
    expect(quantizedFormats(config, 'int4').has(name)).toBe(false);
    expect(quantizedFormats(config, 'int8').get(name)).toMatchObject({
      block: config.heads * config.headDim,
    });
  });
});
