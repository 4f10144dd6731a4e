/** Writes docs/api.md anew: what stands before the first route stays, the rest is made of the schemas. */
import { readFileSync, writeFileSync } from 'node:fs';
import { apiDocs } from '../src/server/api-docs.ts';
import { DESCRIBED } from '../src/server/routes/described.ts';

const path = 'docs/api.md';
writeFileSync(path, apiDocs(DESCRIBED, readFileSync(path, 'utf8').split('\n## OpenAI\n')[0]));
