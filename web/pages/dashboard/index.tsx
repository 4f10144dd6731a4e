/** The server's own numbers, and training runs. Nothing is asked while the page is hidden. */
import { Live } from './live.tsx';
import { Training } from './training.tsx';
import { Usage } from './usage.tsx';
import './dashboard.css';

export default function Dashboard() {
  return (
    <div class="view dashboard stack">
      <header>
        <h1>Dashboard</h1>
        <p class="soft">
          From <code>/metrics</code>, <code>/v1/usage</code> and the logs of training runs, as long as this
          page is open.
        </p>
      </header>
      <Live />
      <Usage />
      <Training />
    </div>
  );
}
