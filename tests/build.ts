/** Before the tests in tests/: the built program is as new as its sources. */
import { build } from '../scripts/setup.mjs';

export default function setup(): void {
  if (!build()) throw new Error('the build failed');
}
