import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as Args from '@oclif/core/args';
import { Command } from '@oclif/core/command';
import { checks } from '../checks/index.ts';
import { invocation } from '../src/cli/invocation.ts';
import { codeOf, ownerOf } from '../src/cli/select.ts';
import { StdoctorError } from '../src/errors.ts';
import { printable } from '../src/names.ts';
import { sectionOf } from '../src/report/readme.ts';

export default class Explain extends Command {
  static override summary = 'Tell what a check or a code means, how we know, and what the repair does.';
  static override usage = 'explain CHECK|CODE|FINDING';
  static override examples = ['<%= config.bin %> explain fuse-dead', '<%= config.bin %> explain zombie-mounts'];
  static override args = { what: Args.string({ required: true, description: 'a check, a code, or the id of a finding' }) };

  async run(): Promise<void> {
    const { args } = await this.parse(Explain);
    const what = String(args.what);
    const check = checks.find(({ id }) => id === what);
    const owner = check ?? checks.find(({ codes }) => Object.hasOwn(codes, what)) ?? ownerOf(what, checks);
    if (owner === undefined) {
      const known = checks.flatMap(({ id, codes }) => [id, ...Object.keys(codes)]).join(', ');
      throw new StdoctorError('STD_USAGE', `${printable(what)} is no check, code or finding: expected one of ${known}`);
    }
    const readme = readFileSync(join(invocation.root, 'checks', owner.id, 'README.md'), 'utf8');
    process.stdout.write(
      check === undefined
        ? sectionOf(readme, Object.hasOwn(owner.codes, what) ? what : (codeOf(what) as string))
        : readme.replaceAll(/^<!--.*-->\n+/gm, ''),
    );
  }
}
