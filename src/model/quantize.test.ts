/** Quantised weights stand for numbers near the originals, and products with them are products with those numbers. */
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../tests/tiny.ts';
import { Graph } from '../graph/graph.ts';
import { nodeRuntime } from '../graph/node.ts';
import { linearNBits } from '../graph/ops.ts';
import { createSession } from '../graph/session.ts';
import { createRng } from '../rng.ts';
import { dequantize, quantize, quantizedFormats, type BlockFormat } from './quantize.ts';

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
    expect(quantizedFormats(config, 'int8').has('model.layers.0.self_attn.o_proj.weight')).toBe(false);
  });
});
