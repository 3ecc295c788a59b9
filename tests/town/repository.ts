/** Where the repository lies, seen from compiled code: what is not compiled is read from its source folder. */
import { fileURLToPath } from 'node:url';

/** The repository's root folder, without a slash at its end. */
export function repository(): string {
  return fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
}
