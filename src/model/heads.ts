/** Heads of attention, layer by layer: most models have one kind of layer, Gemma's block has two. */
import type { ModelConfig } from './config.ts';

export interface Heads {
  /** Layers of one kind have one mask and one rotation; kinds are counted from 0. */
  kind: number;
  /** K: key and value heads. */
  kvHeads: number;
  headDim: number;
  /** A row sees itself and what stands less than so many positions before it; null: everything that its pattern shows. */
  window: number | null;
  /** Values have no product of their own: they are the keys as the product left them. */
  valuesAreKeys: boolean;
}

/** The kinds of layers of a model. */
export function headKinds({ kvHeads, headDim, gemma }: ModelConfig): readonly Heads[] {
  const plain = { kind: 0, kvHeads, headDim, window: gemma?.window ?? null, valuesAreKeys: false };
  if (!gemma) return [plain];
  return [plain, { kind: 1, ...gemma.full, window: null, valuesAreKeys: true }];
}

export const headsOf = (config: ModelConfig, layer: number): Heads =>
  headKinds(config)[config.gemma?.fullLayers.includes(layer) ? 1 : 0];

/** The layer of a parameter. */
export const layerOf = (name: string): number => Number(/\.layers\.(\d+)\./.exec(name)?.[1]);

/** Numbers of the keys, or of the values, of one place in one layer. */
export const placeWidth = (config: ModelConfig, layer: number): number => {
  const { kvHeads, headDim } = headsOf(config, layer);
  return kvHeads * headDim;
};
