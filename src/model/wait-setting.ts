import { flag } from '../kit/fields.ts';

export const wait = flag(
  '`false` ends when the work has begun, a roll of `promote` or an image `from-instance` of `build`; the same settings later watch it and finish.',
  true,
  { neededBy: 'work that outlasts a job' },
);
