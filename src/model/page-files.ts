/** Files of a model as a page asks for them: `page/models/index.json` lists folders, `page/models/<id>/<name>` are files. */

import { BIGRAMS } from './bigrams.ts';

/** All that a model in a tab is made of; each bundled model has them. */
export const PAGE_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'model.safetensors',
] as const;

/** What only some have. */
export const OPTIONAL_PAGE_FILES = [BIGRAMS] as const;

export const PAGE_WEIGHTS = 'model.safetensors';

export interface PageFile {
  name: string;
  sizeBytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface PageFolder {
  id: string;
  files: PageFile[];
}
