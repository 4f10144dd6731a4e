/** Markdown as nodes that are safe to show: no scripts, no forms, nothing that asks another host. */
import DOMPurify from 'dompurify';
import { Marked } from 'marked';
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

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** HTML in an answer is text: it is shown as it was written. */
const marked = new Marked({
  gfm: true,
  renderer: { html: ({ text }) => text.replace(/[&<>]/g, (letter) => ESCAPES[letter]) },
});

/** Code is coloured where its language is known. */
export function markdownNodes(text: string): DocumentFragment {
  const tokens = marked.lexer(text);
  const languages: string[] = [];
  void marked.walkTokens(tokens, (token) => {
    if (token.type === 'code') languages.push(String(token.lang ?? ''));
  });
  const nodes = DOMPurify.sanitize(marked.parser(tokens), SAFE);
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
    const pieces = highlight(code.textContent, languages[index]?.split(/\s/)[0] ?? '');
    code.replaceChildren(...pieces.map(({ text, classes }) => (classes === '' ? text : span(text, classes))));
  }
  return nodes;
}

function span(text: string, classes: string): HTMLElement {
  const element = document.createElement('span');
  element.className = classes;
  element.textContent = text;
  return element;
}
