/** npm run lab: builds the image of the lab's guest where it is missing, as npm test does before the tests that need it. */
import { ensureImage } from './image.ts';

console.log(`lab: ${await ensureImage((line) => console.log(`lab: ${line}`))}`);
