import { testCheck } from '../../src/check/tester.ts';
import { check } from './index.ts';

await testCheck(check, new URL('./cases/', import.meta.url));
