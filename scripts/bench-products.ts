/**
 * The cost of x Wᵀ by rows and arithmetic: float32, int8 with activations scaled per tensor, and blocks of 8 or 4 bits.
 *
 *     npx tsx scripts/bench-products.ts [--rounds 40] [--threads 1] [--shapes 640x256,1280x256,256x640]
 *
 * Every arithmetic in turn, many times; the best and the first decile of microseconds a product. Shapes are N x K.
 */
import { parseArgs } from 'node:util';
import { percentile } from '../src/eval/metrics.ts';
import { Graph, type Value } from '../src/graph/graph.ts';
import { nodeRuntime } from '../src/graph/node.ts';
import { linear } from '../src/graph/ops.ts';
import { createSession, type Session } from '../src/graph/session.ts';
import { createRng } from '../src/rng.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    threads: { type: 'string', default: '1' },
    rows: { type: 'string', default: '1,8,16,32,128' },
    shapes: { type: 'string', default: '512x256,256x256,1280x256,256x640,4096x256' },
    layers: { type: 'string', default: '8' },
  },
});

const rng = createRng(1);
const random = (length: number): Float32Array => Float32Array.from({ length }, () => rng.normal() / 16);
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(rng.next() * 256));

type Product = (graph: Graph, x: Value, N: number, K: number) => Value;
const nBits =
  (bits: number, block: number, level: number): Product =>
  (graph, x, N, K) => {
    const blocks = Math.ceil(K / block);
    const blob = (block * bits) / 8;
    const weight = graph.constant('w', bytes(N * blocks * blob), [N, blocks, blob]);
    const scales = graph.constant('s', random(N * blocks), [N, blocks]);
    return graph.op({
      op: 'MatMulNBits',
      domain: 'com.microsoft',
      inputs: [x, weight, scales],
      shape: [x.shape[0], N],
      attributes: {
        K: { int: K },
        N: { int: N },
        bits: { int: bits },
        block_size: { int: block },
        accuracy_level: { int: level },
      },
    });
  };
const PRODUCTS: Record<string, Product> = {
  f32: (graph, x, N, K) => linear(x, graph.constant('w', random(N * K), [N, K])),
  dynamic: (graph, x, N, K) =>
    graph.op({
      op: 'DynamicQuantizeMatMul',
      domain: 'com.microsoft',
      inputs: [
        x,
        graph.constant('w', new Int8Array(bytes(N * K)), [K, N]),
        graph.constant('s', random(N), [N]),
      ],
      shape: [x.shape[0], N],
    }),
};
for (const bits of [8, 4]) {
  for (const block of [32, 64, 128, 256]) PRODUCTS[`${bits}b${block}/4`] = nBits(bits, block, 4);
  PRODUCTS[`${bits}b32/0`] = nBits(bits, 32, 0);
}

const { Tensor } = await nodeRuntime();
const layers = Number(flags.layers);
for (const shape of flags.shapes.split(',')) {
  const [N, K] = shape.split('x').map(Number) as [number, number];
  const sessions = new Map<string, Session>();
  for (const [name, product] of Object.entries(PRODUCTS)) {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['M', K]);
    // Several weights in turn, as in a model, so that none stays in the nearest cache.
    for (let layer = 0; layer < layers; layer++) graph.output(`y${layer}`, product(graph, x, N, K));
    try {
      sessions.set(name, await createSession(await nodeRuntime(), graph, { threads: Number(flags.threads) }));
    } catch (error) {
      console.log(`${name} ${shape}: ${(error as Error).message.slice(0, 160)}`);
    }
  }
  console.log(`\nN ${N}, K ${K}`.padEnd(24), [...sessions.keys()].map((name) => name.padStart(12)).join(''));
  for (const M of flags.rows.split(',').map(Number)) {
    const feeds = { x: new Tensor('float32', random(M * K), [M, K]) };
    const fetches = Object.fromEntries(
      Array.from({ length: layers }, (_, i) => [
        `y${i}`,
        new Tensor('float32', new Float32Array(M * N), [M, N]),
      ]),
    );
    const times = new Map([...sessions.keys()].map((name) => [name, [] as number[]]));
    for (let round = -2; round < Number(flags.rounds); round++) {
      for (const [name, session] of sessions) {
        const started = performance.now();
        await session.run(feeds, fetches);
        if (round >= 0) times.get(name)!.push(((performance.now() - started) * 1000) / layers);
      }
    }
    const shown = [...times.values()].map((t) =>
      `${Math.min(...t).toFixed(0)}/${percentile(t, 0.1).toFixed(0)}`.padStart(12),
    );
    console.log(`${M} rows`.padEnd(24), shown.join(''));
  }
  for (const session of sessions.values()) await session.close();
}
