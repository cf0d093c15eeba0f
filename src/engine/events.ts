import type { CheckOutcome } from './result.ts';

/** What the engine tells the screen. The screen tells the engine nothing. */
export type EngineEvent =
  | { type: 'checks'; ids: { id: string; title: string }[] }
  | { type: 'check-started'; id: string }
  | { type: 'check-ended'; id: string; outcome: CheckOutcome; findings: number; durationMs: number }
  | { type: 'asked'; key: string; source: string }
  | { type: 'answered'; key: string; ms: number }
  | { type: 'step'; index: number; of: number; title: string; state: 'guards' | 'acting' | 'proving' | 'proven' | 'failed' }
  /** The last line an act has printed so far. */
  | { type: 'said'; text: string };

export type Listener = (event: EngineEvent) => void;
