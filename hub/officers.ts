/** Officers: the two names that stand behind what no single person may do. */
import { isPrintable } from './printable.ts';

const NAME_MAX = 64;

/** What is wrong with the names of the two, or null. Names are kept as they are given; nobody proves them here. */
export function officersFault(names: readonly string[]): string | null {
  const plain = names.map((name) => name.trim().toLowerCase());
  if (plain.length !== 2) return 'two officers do this: name both after --officer';
  if (plain.some((name) => name === '' || name.length > NAME_MAX || !isPrintable(name))) {
    return `an officer's name has 1 to ${NAME_MAX} letters that can be printed`;
  }
  return plain[0] === plain[1] ? 'the two officers must be two people' : null;
}
