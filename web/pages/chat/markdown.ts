/** Markdown as nodes that are safe to show: no scripts, no forms, nothing that asks another host. */
import DOMPurify from 'dompurify';
import { marked } from 'marked';
import { highlight } from '../../views/highlight.ts';

const SAFE = {
  RETURN_DOM_FRAGMENT: true as const,
  USE_PROFILES: { html: true },
  FORBID_TAGS: [
    'style',
    'form',
    'input',
    'button',
    'textarea',
    'select',
    'iframe',
    'object',
    'audio',
    'video',
  ],
  FORBID_ATTR: ['style', 'class', 'id', 'name'],
};

/** Code is coloured where its language is known. */
export function markdownNodes(text: string): DocumentFragment {
  const html = marked.parse(text, { async: false, gfm: true });
  // Classes say the language of code, so they are read before they are dropped.
  const languages = languagesOf(html);
  const nodes = DOMPurify.sanitize(html, SAFE);
  for (const image of nodes.querySelectorAll('img, picture, source')) {
    // It would ask another host.
    image.replaceWith(image.getAttribute('alt') ?? '');
  }
  for (const link of nodes.querySelectorAll('a')) {
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
  }
  for (const table of nodes.querySelectorAll('table')) table.className = 'table';
  for (const [index, code] of [...nodes.querySelectorAll('pre > code')].entries()) {
    code.className = 'code';
    const pieces = highlight(code.textContent, languages[index] ?? '');
    code.replaceChildren(...pieces.map(({ text, classes }) => (classes === '' ? text : span(text, classes))));
  }
  return nodes;
}

function languagesOf(html: string): string[] {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  return [...parsed.querySelectorAll('pre > code')].map(
    (code) => /language-([\w-]+)/.exec(code.className)?.[1] ?? '',
  );
}

function span(text: string, classes: string): HTMLElement {
  const element = document.createElement('span');
  element.className = classes;
  element.textContent = text;
  return element;
}
