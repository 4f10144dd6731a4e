/** Names of llama.cpp (gguf-py/gguf/tensor_mapping.py) for ours, which are Hugging Face's. */

/** A layer's. */
const LAYER_NAMES: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.q_proj.bias': 'attn_q.bias',
  'self_attn.k_proj.bias': 'attn_k.bias',
  'self_attn.v_proj.bias': 'attn_v.bias',
  'self_attn.q_norm.weight': 'attn_q_norm.weight',
  'self_attn.k_norm.weight': 'attn_k_norm.weight',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight',
  'mlp.gate.weight': 'ffn_gate_inp.weight',
};
const MODEL_NAMES: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

/** A tensor of the file; that of an expert is one of several, one below another. */
export interface GgufPlace {
  name: string;
  expert: number | null;
}

/** Where a parameter stands, or null where llama.cpp has no place for it. */
export function ggufPlace(name: string): GgufPlace | null {
  const layer = /^model\.layers\.(\d+)\.(.+)$/.exec(name);
  if (!layer) return MODEL_NAMES[name] === undefined ? null : { name: MODEL_NAMES[name], expert: null };
  const [, number, path] = layer as unknown as [string, string, string];
  const expert = /^mlp\.experts\.(\d+)\.(gate|up|down)_proj\.weight$/.exec(path);
  if (expert) return { name: `blk.${number}.ffn_${expert[2]}_exps.weight`, expert: Number(expert[1]) };
  return LAYER_NAMES[path] === undefined
    ? null
    : { name: `blk.${number}.${LAYER_NAMES[path]}`, expert: null };
}
