import { expect, test } from '@jest/globals';
import { JOURNEYS, journey } from '../scripts/journey.ts';

/** Figures of the draft that the layout was chosen by. */
const LIMITS = {
  'the image ID through promote': { folders: 5, walls: 17 },
  'the family through prune': { folders: 3, walls: 14 },
} as const;

test.each(Object.entries(LIMITS))('%s stays within the folders and imports of the layout', (name, limit) => {
  const { files, folders, walls } = journey(JOURNEYS[name as keyof typeof JOURNEYS]);
  expect(files).toBeGreaterThan(5);
  expect(folders.length).toBeLessThanOrEqual(limit.folders);
  expect(walls).toBeLessThanOrEqual(limit.walls);
});
