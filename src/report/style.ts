import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Colours, where the stream is a terminal that wants them; no information is in the colour alone. */
export interface Paint {
  (format: Format, text: string): string;
  /** The width to wrap at; Infinity where nothing is wrapped, so that a pipe can be searched line by line. */
  readonly columns: number;
}

export function paintFor(stream: NodeJS.WriteStream): Paint {
  return Object.assign((format: Format, text: string) => styleText(format, text, { stream }), { columns: columnsOf(stream) });
}

/** Without colours. */
export function plainAt(columns: number): Paint {
  return Object.assign((_: Format, text: string) => text, { columns });
}

export const plain: Paint = plainAt(Number.POSITIVE_INFINITY);

/** Of the terminal, else as the user says in COLUMNS. A terminal that says 0 does not know. */
function columnsOf({ isTTY, columns }: NodeJS.WriteStream): number {
  const said = isTTY ? columns : Number(process.env['COLUMNS']);
  return said > 0 ? said : Number.POSITIVE_INFINITY;
}
