/** Prints each test file with its seconds, every failure in full, and one closing line that a machine can count. */
import { DefaultReporter } from 'vitest/node';

export default class SecondsReporter extends DefaultReporter {
  onTestRunEnd(modules, errors, reason) {
    super.onTestRunEnd(modules, errors, reason);
    const count = { passed: 0, failed: 0, skipped: 0 };
    const seconds = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === 'passed' || state === 'failed' ? state : 'skipped'] += 1;
      }
      if (module.state() === 'failed' && module.errors().length > 0) count.failed += 1;
      const { duration, collectDuration } = module.diagnostic();
      seconds.push([(duration + collectDuration) / 1000, module.relativeModuleId]);
    }
    seconds.sort((a, b) => b[0] - a[0]);
    for (const [took, name] of seconds) process.stdout.write(`${took.toFixed(2).padStart(8)} s  ${name}\n`);
    if (count.skipped > 0) {
      process.stdout.write(`${count.skipped} skipped: the suite allows none, make them run or delete them\n`);
      process.exitCode = 1;
    }
    if (errors.length > 0) count.failed += errors.length;
    process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`);
  }
}
