/**
 * Products with quantised weights (`model/quantize.ts`). Inference only. What becomes of a row depends on that row alone.
 */
import { Graph, type Value } from './graph.ts';
import { div, mul } from './ops.ts';
import { createSession, type Runtime } from './session.ts';

/**
 * x Wᵀ with W in blocks of 8 or 4 bits (`quantize.ts`): packed [O, blocks, bytes], scales [O, blocks]. Accuracy level 4:
 * activations become int8, block by block. Inference only.
 */
export function linearNBits(
  x: Value,
  w: { packed: Value; scales: Value; columns: number; bits: number; block: number },
): Value {
  const outputs = w.packed.shape[0] as number;
  return x.graph.op({
    op: 'MatMulNBits',
    domain: 'com.microsoft',
    inputs: [x, w.packed, w.scales],
    shape: x.shape.with(-1, outputs),
    attributes: {
      K: { int: w.columns },
      N: { int: outputs },
      bits: { int: w.bits },
      block_size: { int: w.block },
      accuracy_level: { int: 4 },
    },
  });
}

/** Rows as bytes, by a scale of their own each. */
export interface RowBytes {
  /** 128 is zero, 1 and 255 the largest magnitude of the row. [.., I] uint8 */
  bytes: Value;
  /** That magnitude. [.., 1] */
  most: Value;
}

/** A row of zeros is divided by 0; what that rounds to is multiplied by 0 in the end. */
export function asBytes(x: Value): RowBytes {
  const g = x.graph;
  const abs = g.op({ op: 'Abs', inputs: [x], shape: x.shape });
  const most = g.op({
    op: 'ReduceMax',
    inputs: [abs, g.ints([-1])],
    shape: x.shape.with(-1, 1),
    attributes: { keepdims: { int: 1 } },
  });
  const [step, zero] = bytesOf(g);
  const bytes = g.op({
    op: 'QuantizeLinear',
    inputs: [div(x, most), step, zero],
    shape: x.shape,
    dtype: 'uint8',
  });
  return { bytes, most };
}

/** What a byte stands for in units of the largest magnitude: (byte − zero) · step. */
const bytesOf = (g: Graph): [step: Value, zero: Value] => [
  g.scalar(1 / 127),
  g.constant('zero', Uint8Array.of(128), []),
];

/**
 * x Wᵀ with W in 8 bits and a scale for each of its rows: weights [I, O] int8, scales [O] (vector-wise quantisation, LLM.int8(),
 * 2208.07339, section 3). Products and sums are of integers and exact; both scales are multiplied in afterwards.
 */
export function linearRows(
  { bytes, most }: RowBytes,
  { weights, scales }: { weights: Value; scales: Value },
): Value {
  const [step, zero] = bytesOf(bytes.graph);
  const y = bytes.graph.op({
    op: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [bytes, weights, step, scales, zero],
    shape: bytes.shape.with(-1, weights.shape[1]),
  });
  return mul(y, most);
}

/** Bytes whose products are all the largest there are, so that two of them are more than 16 bits hold. */
const LONGEST = 64;

const answers = new WeakMap<object, Promise<boolean>>();

/**
 * Whether this machine's products of bytes can be wrong: x86 processors without VNNI add pairs of them in 16 bits, saturating.
 * It is tried once for each runtime.
 */
export function saturates(runtime: Runtime): Promise<boolean> {
  const known = answers.get(runtime.InferenceSession) ?? tryIt(runtime);
  answers.set(runtime.InferenceSession, known);
  return known;
}

async function tryIt(runtime: Runtime): Promise<boolean> {
  const graph = new Graph();
  const x = graph.input('x', 'float32', [1, LONGEST]);
  const weights = graph.constant('w', new Int8Array(LONGEST).fill(127), [LONGEST, 1]);
  graph.output(
    'y',
    linearRows(asBytes(x), { weights, scales: graph.constant('s', Float32Array.of(1), [1]) }),
  );
  const session = await createSession(runtime, graph, { threads: 1 });
  const ones = new Float32Array(LONGEST).fill(1);
  const { y } = await session.run({ x: new runtime.Tensor('float32', ones, [1, LONGEST]) });
  await session.close();
  return Math.abs((y.data as Float32Array)[0] / (LONGEST * 127) - 1) > 1e-4;
}
