/** The views, in the order of the navigation. Each is fetched when it is first opened. */
import type { ComponentType } from 'preact';
import { isStatic } from './state.ts';

export interface Page {
  id: string;
  label: string;
  /** What one does there, for the tooltip. */
  about: string;
  /** Whether it works without a server. */
  standalone: boolean;
  load: () => Promise<{ default: ComponentType }>;
}

const ALL: readonly Page[] = [
  {
    id: 'write',
    label: 'Write',
    about: 'An editor that completes code and fills gaps',
    standalone: true,
    load: () => import('./pages/write/index.tsx'),
  },
  {
    id: 'watch',
    label: 'Watch',
    about: 'A run step by step, under the microscope',
    standalone: true,
    load: () => import('./pages/watch/index.tsx'),
  },
  {
    id: 'race',
    label: 'Race',
    about: 'Diffusion, verify and the twin on one prompt',
    standalone: true,
    load: () => import('./pages/race/index.tsx'),
  },
  {
    id: 'solve',
    label: 'Solve',
    about: 'Sudoku, all cells at once',
    standalone: true,
    load: () => import('./pages/solve/index.tsx'),
  },
  {
    id: 'chat',
    label: 'Chat',
    about: 'Talk to a chat checkpoint',
    standalone: false,
    load: () => import('./pages/chat/index.tsx'),
  },
  {
    id: 'arena',
    label: 'Arena',
    about: 'Two completions, one vote',
    standalone: false,
    load: () => import('./pages/arena/index.tsx'),
  },
  {
    id: 'dashboard',
    label: 'Dashboard',
    about: 'Load, latency, usage, training runs',
    standalone: false,
    load: () => import('./pages/dashboard/index.tsx'),
  },
];

export const PAGES: readonly Page[] = ALL.filter(({ standalone }) => standalone || !isStatic);
