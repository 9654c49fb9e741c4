import { expect, test } from '@jest/globals';
import { text } from '../../src/kit/markdown.ts';

test.each([
  ['see https://evil.example', 'see https&#58;//evil.example'],
  ['see HTTPS://evil.example', 'see HTTPS&#58;//evil.example'],
  ['see ftp://evil.example', 'see ftp&#58;//evil.example'],
  ['see www.evil.example', 'see www&#46;evil.example'],
  ['see WWW.evil.example', 'see WWW&#46;evil.example'],
  ['at 12:00, port 8080: open', 'at 12:00, port 8080: open'],
])('%s is no link', (raw, escaped) => {
  expect(text(raw)).toBe(escaped);
});
