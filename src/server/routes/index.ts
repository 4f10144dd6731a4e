/** All routes, in the order in which they are described. */
import type { Route } from '../deps.ts';
import { chatRoutes } from './chat.ts';
import { completionRoutes } from './completions.ts';
import { editRoutes } from './edit.ts';
import { infillRoutes } from './infill.ts';
import { llamaRoutes } from './llama.ts';
import { ollamaRoutes } from './ollama.ts';
import { serverRoutes } from './server.ts';
import { traceRoutes } from './trace.ts';
import { tabbyRoutes } from './tabby.ts';

export const ROUTES: readonly Route[] = [
  ...chatRoutes,
  ...completionRoutes,
  ...editRoutes,
  ...infillRoutes,
  ...traceRoutes,
  ...llamaRoutes,
  ...ollamaRoutes,
  ...tabbyRoutes,
  ...serverRoutes,
];
