// An SFTP server that holds back its replies: by as many milliseconds as the file named first says, 0 to begin with.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const [delayFile, server] = process.argv.slice(2);
const child = spawn(server, { stdio: ['pipe', 'pipe', 'inherit'] });
process.stdin.pipe(child.stdin);
child.stdout.on('data', (chunk) => setTimeout(() => process.stdout.write(chunk), Number(readFileSync(delayFile, 'utf8'))));
child.on('exit', () => process.exit());
