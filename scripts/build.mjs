/** `npm run build`: dist/ from src/, always anew. */
import { build, checkNode, installDependencies } from './setup.mjs';

checkNode();
installDependencies();
build({ force: true });
