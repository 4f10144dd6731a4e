import { render } from 'preact';
import './style/tokens.css';
import './style/base.css';
import './style/canvas.css';
import { App } from './app.tsx';
import { begin } from './begin.ts';

begin();
render(<App />, document.querySelector('#page')!);
