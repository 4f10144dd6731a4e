/** `npm run build`: dist/ from src/, always anew. */
import { setup } from './setup.mjs';

setup({ force: true });
