import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const CHUNK_BYTES = 64 * 1024;
// Where the file system tells of a change, this is for what it forgot to tell. More often would cost a second of processor time in a build of a quarter of an hour.
const EVERY_MS = 1000;

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
  const watcher = watching(path, readOn);
  // What was written before anybody watched is told by nothing.
  readOn();
  return {
    finish() {
      clearInterval(timer);
      watcher?.close();
      readOn();
      closeSync(file);
      const last = rest + decoder.end();
      if (last !== '') onLine(last);
    },
  };
}

/** Not every file system has it, and no machine has it without end. */
function watching(path: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(path, onChange).on('error', () => undefined);
  } catch {
    return undefined;
  }
}
