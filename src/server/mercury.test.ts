/** Edits and updates, and the marks of gaps in prompts. */
import { describe, expect, it } from 'vitest';
import { json, serverRig } from '../../tests/server-rig.ts';
import { markedGap } from './fim-markers.ts';
import { fenced, mergeUpdate, readEditPrompt } from './mercury-prompts.ts';

const EDIT = [
  '<|recently_viewed_code_snippets|>',
  '<|recently_viewed_code_snippet|>',
  'code_snippet_file_path: lib.ts',
  'export const lib = 1;',
  '<|/recently_viewed_code_snippet|>',
  '<|/recently_viewed_code_snippets|>',
  '<|current_file_content|>',
  'current_file_path: a.ts',
  'import { lib } from "./lib";',
  '<|code_to_edit|>',
  'const x = <|cursor|>;',
  '<|/code_to_edit|>',
  'print(x);',
  '<|/current_file_content|>',
  '<|edit_diff_history|>',
  '<|/edit_diff_history|>',
].join('\n');
const ask = (content: string) => ({ messages: [{ role: 'user', content }] });

describe('an edit', () => {
  it('is the region with what belongs at the cursor, in a fence', async () => {
    const { post, engine } = serverRig();
    const reply = await json(await post('/v1/edit/completions', ask(EDIT)));
    expect(reply).toMatchObject({ object: 'edit.completion', choices: [{ finish_reason: 'stop' }] });
    expect(reply.choices[0].message.content).toBe('```\nconst x = a + b;;\n```');
    const { prompt, suffix } = engine.asked[0];
    expect(prompt).toContain('export const lib = 1;');
    expect(prompt).toMatch(/import \{ lib \} from "\.\/lib";\nconst x = $/);
    expect(prompt).not.toContain('current_file_path');
    expect(suffix).toMatch(/^;\nprint\(x\);/);
  });

  it('may have its region beside the file, as in Inception’s example', () => {
    const task = readEditPrompt(
      '<|current_file_content|>\na\nb\nc\n<|/current_file_content|>\n<|code_to_edit|>\nb<|cursor|>\n<|/code_to_edit|>',
    );
    expect(task).toMatchObject({ left: 'b', right: '' });
    expect(task.before.endsWith('a\n')).toBe(true);
    expect(task.after).toBe('\nc\n');
  });

  it('is a stream where that is asked for, and a 400 without a region', async () => {
    const { post } = serverRig();
    const text = await (await post('/v1/edit/completions', { ...ask(EDIT), stream: true })).text();
    expect(text).toContain('"content":"```\\nconst x = a + b;;\\n```"');
    expect(text).toContain('data: [DONE]');
    const refused = await post('/v1/edit/completions', ask('hello'));
    expect((await json(refused)).error).toMatchObject({ param: 'messages', code: 'invalid_value' });
    const two = { messages: [...ask(EDIT).messages, ...ask(EDIT).messages] };
    expect((await post('/v1/edit/completions', two)).status).toBe(400);
  });
});

describe('an update', () => {
  const original = 'import a;\n\nfunction f() {\n  one();\n  two();\n}\n\nfunction g() {\n  three();\n}';

  it.each([
    [
      'a part in the middle',
      '// ... existing code ...\nfunction f() {\n  ONE();\n  two();\n}\n// ... existing code ...',
    ],
    [
      'a mark inside',
      '// ... existing code ...\nfunction f() {\n  ONE();\n  two();\n  // ... existing code ...\n}\n# ... existing code ...',
    ],
  ])('is put where its lines are: %s', (_, update) => {
    expect(mergeUpdate({ original, update })).toContain(
      'function f() {\n  ONE();\n  two();\n}\n\nfunction g() {',
    );
    expect(mergeUpdate({ original, update })!.startsWith('import a;\n\n')).toBe(true);
  });

  it('without marks is the new text, and null where nothing says its place', () => {
    expect(mergeUpdate({ original, update: 'x' })).toBe('x');
    expect(
      mergeUpdate({ original, update: '// ... existing code ...\nunknown();\n// ... existing code ...' }),
    ).toBeNull();
  });

  it('comes back in a fence, or as a clear 400', async () => {
    const { post } = serverRig();
    const prompt = (update: string) =>
      ask(
        `<|original_code|>\n${original}\n<|/original_code|>\n<|update_snippet|>\n${update}\n<|/update_snippet|>`,
      );
    const reply = await json(
      await post('/v1/apply/completions', prompt('import b;\n// ... existing code ...\n')),
    );
    expect(reply.error?.code).toBe('cannot_apply');
    const done = await json(
      await post('/v1/apply/completions', prompt('import b;\nimport a;\n// ... existing code ...')),
    );
    expect(done.choices[0].message.content).toContain('import b;\nimport a;\n\nfunction f()');
  });

  it('has a fence longer than those in it', () => {
    expect(fenced('```js\nx\n```').startsWith('````\n```js')).toBe(true);
  });
});

describe('marks of gaps', () => {
  it.each([
    '<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>',
    '<fim_prefix>P<fim_suffix>S<fim_middle>',
    '<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>',
    '<PRE> P <SUF>S <MID>',
    '[SUFFIX]S[PREFIX]P',
    '<fim_prefix><fim_suffix>S<fim_middle>P',
    '<fim_suffix>S<fim_prefix>P<fim_middle>',
    '<|repo_name|>r<|file_sep|>f<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>',
  ])('%s', (prompt) => {
    const gap = markedGap(prompt)!;
    expect(gap.prefix.endsWith('P')).toBe(true);
    expect(gap.suffix).toBe('S');
    expect(gap.prefix).not.toContain('<');
  });

  it('are none in plain text', () => {
    expect(markedGap('const a = "<fim_prefix>";')).toBeNull();
  });
});
