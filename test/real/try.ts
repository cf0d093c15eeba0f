import { World } from './world.ts';

const w = await World.open();
try {
  const dead = await w.sshfs('dead');
  await dead.kill();
  console.log((await w.stdoctor(['check'])).stdout);
  const c = await w.check();
  console.log(
    c.code,
    c.ms,
    c.report.targets[0].findings.map((f: any) => [f.code, f.subject.name, f.fix.risk]),
  );
  const f = await w.fix('--auto', 'safe');
  console.log(f.code, f.ms, JSON.stringify(f.report.repairs.map((r: any) => [r.outcome, r.reason, r.steps])));
  console.log(w.mountsAt(dead.point).length, await w.stdoctor(['check', 'zombie-mounts']));
  const hung = await w.sshfs('hung');
  hung.silence();
  const stop = await w.sshfs('stop');
  stop.stop();
  const slow = await w.sshfs('slow', { slow: true });
  slow.delay(4000);
  const h = await w.stdoctor(['check']);
  console.log(h.stdout, h.ms);
  const h2 = await w.stdoctor(['check']);
  console.log(h2.stdout, h2.ms, w.childrenNaming(w.dir));
} finally {
  await w.close();
}
