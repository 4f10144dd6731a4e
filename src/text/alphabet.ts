/**
 * GPT-2's byte alphabet: every byte as one printable character, so that a vocabulary is readable JSON.
 * Bytes that print as themselves in Latin-1 stay; the others take the code points from U+0100 upward.
 * Source: `bytes_to_unicode` of GPT-2 (openai/gpt-2, encoder.py); `ByteLevel` in Hugging Face tokenizers.
 */

const printsAsItself = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

/** Character of each byte. [256] */
export const BYTE_TO_CHAR: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printsAsItself(byte) ? byte : next++));
})();

const CHAR_TO_BYTE = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

/** Bytes of a token written in the alphabet, or null if a character is foreign to it. */
export function tokenBytes(token: string): Uint8Array | null {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = CHAR_TO_BYTE.get(token[i]);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
