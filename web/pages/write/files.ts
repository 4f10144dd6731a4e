/** Files of the person's machine, by the browser's picker; by download and upload where it has none. */

export interface OpenedFile {
  name: string;
  text: string;
  /** How its lines end. */
  lineBreak: '\n' | '\r\n';
  /** Where to save it again without asking. */
  handle: FileHandle | null;
}

/** The part of the File System Access API that is used, which not every browser has. */
export interface FileHandle {
  name: string;
  getFile(): Promise<File>;
  createWritable(): Promise<{ write(text: string): Promise<void>; close(): Promise<void> }>;
}
interface Pickers {
  showOpenFilePicker?: (options: object) => Promise<FileHandle[]>;
  showSaveFilePicker?: (options: object) => Promise<FileHandle>;
}
const pickers = globalThis as unknown as Pickers;

const TYPES = [
  {
    description: 'Source text',
    accept: { 'text/plain': ['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.txt'] },
  },
];
export const MOST_BYTES = 5_000_000;

export class FileError extends Error {}

/** The text of a file. Throws `FileError` for one that is too large or no text. */
export async function readFile(file: File, handle: FileHandle | null = null): Promise<OpenedFile> {
  const { name, size } = file;
  if (size >= MOST_BYTES) {
    const megabytes = (size / 1e6).toFixed(1);
    throw new FileError(
      `${name} has ${megabytes} MB; files of less than ${MOST_BYTES / 1e6} MB can be opened here`,
    );
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new FileError(`${name} is not text (it is no UTF-8); choose a source file`);
  }
  if (text.includes('\0')) throw new FileError(`${name} is not text (it is binary); choose a source file`);
  return {
    name,
    text: text.replaceAll('\r\n', '\n'),
    lineBreak: text.includes('\r\n') ? '\r\n' : '\n',
    handle,
  };
}

/** Null when the person closed the picker. */
export async function openFile(): Promise<OpenedFile | null> {
  if (!pickers.showOpenFilePicker) {
    const file = await upload();
    return file && readFile(file);
  }
  const handles = await picked(pickers.showOpenFilePicker({ types: TYPES }));
  return handles && readFile(await handles[0].getFile(), handles[0]);
}

/** Returns where it was saved, null where that cannot be known; undefined when the person closed the picker. */
export async function saveFile({
  name,
  text,
  lineBreak,
  handle,
}: OpenedFile): Promise<FileHandle | null | undefined> {
  const content = lineBreak === '\n' ? text : text.replaceAll('\n', lineBreak);
  if (!handle && !pickers.showSaveFilePicker) {
    download(name, content);
    return null;
  }
  const target = handle ?? (await picked(pickers.showSaveFilePicker!({ suggestedName: name })));
  if (!target) return undefined;
  const stream = await target.createWritable();
  await stream.write(content);
  await stream.close();
  return target;
}

/** Closing a picker is no error. */
async function picked<T>(choice: Promise<T>): Promise<T | null> {
  try {
    return await choice;
  } catch (error) {
    if ((error as Error).name === 'AbortError') return null;
    throw error;
  }
}

function upload(): Promise<File | null> {
  return new Promise((resolve) => {
    const input = document.createElement('input');
    input.type = 'file';
    input.addEventListener('change', () => resolve(input.files?.[0] ?? null));
    input.addEventListener('cancel', () => resolve(null));
    input.click();
  });
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
