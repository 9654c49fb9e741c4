import { closeSync, openSync, readSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const CHUNK_BYTES = 64 * 1024;
// Notifications of the file system are not the same everywhere; a read of nothing costs nothing.
const EVERY_MS = 150;

/** Hands over the lines of a file while another process writes it. `finish` reads what is left, and is called when the writer has ended. */
export function followFile(path: string, onLine: (line: string) => void): { finish(): void } {
  const file = openSync(path, 'r');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  // A character may be cut in two by the end of a chunk.
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const readOn = () => {
    for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
      const lines = (rest + decoder.write(buffer.subarray(0, length))).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line.replace(/\r$/, ''));
    }
  };
  const timer = setInterval(readOn, EVERY_MS);
  return {
    finish() {
      clearInterval(timer);
      readOn();
      closeSync(file);
      const last = rest + decoder.end();
      if (last !== '') onLine(last);
    },
  };
}
